# bash completion for git ocuroot; found by git's own completion. Made by man/generate.py.

_git_ocuroot ()
{
    local cur words cword prev
    # Refs hold '@', and may hold ':', which readline takes for the end of a word.
    _get_comp_words_by_ref -n @:= cur words cword prev
    local i=2 command
    # Common options, and 'state', may stand before the command.
    while ((i < cword)) && [[ ${words[i]} == -* || ${words[i]} == state ]]; do
        case ${words[i]} in
        --package|--release|--max-age|-m|--message|--operation) ((i += 2)) ;;
        *) ((i += 1)) ;;
        esac
    done
    command=${words[i]}
    if ((cword <= i)); then
        case $cur in
        -*) __gitcomp "--package --release --offline --max-age --message --operation --quiet --verbose --help" ;;
        *) __gitcomp "init status get match set delete diff apply deploy deployments promote rollback undo hold metrics incident package release run logs work freeze thaw approve gate prune resolve parse log blame watch update fetch push sync fsck cache export import view site" ;;
        esac
        return
    fi
    case $command in
    deploy|incident|package|release|run|work|gate)
        if ((cword == i + 1)); then
            case $command in
        deploy) __gitcomp 'down' ;;
        incident) __gitcomp 'open resolve list' ;;
        package) __gitcomp 'new schema show lint' ;;
        release) __gitcomp 'new changed continue retry lint list show' ;;
        run) __gitcomp 'start log logs finish cancel exec retry dismiss' ;;
        work) __gitcomp 'list any cascade continue ops trigger' ;;
        gate) __gitcomp 'list check' ;;
            esac
            return
        fi
        command="$command ${words[i + 1]}"
    esac
    if [[ $cur != -* ]]; then
        local IFS=$'\n'
        local refs=$(git ocuroot match --limit 1000 -- "${cur//[\\*?\[\]\{\}]/}**" 2>/dev/null)
        COMPREPLY=($(compgen -W "$refs" -- "$cur"))
        __ltrim_colon_completions "$cur" 2>/dev/null
        return
    fi
    case $command in
    'init') __gitcomp "--branch --remote --intent-branch --intent-remote --offline --dialect --quiet --verbose --help" ;;
    'status') __gitcomp "--json --offline --max-age --quiet --verbose --help" ;;
    'get') __gitcomp "--at --format --default --batch --package --release --offline --max-age --quiet --verbose --help" ;;
    'match') __gitcomp "--no-links --state --intent --values --json --count --exclude --sort --limit --at --offline --max-age --quiet --verbose --help" ;;
    'set') __gitcomp "--format --if-absent --if-match --package --release --message --operation --quiet --verbose --help" ;;
    'delete') __gitcomp "--if-match --package --release --message --operation --quiet --verbose --help" ;;
    'diff') __gitcomp "--exit-code --name-status --patch --environments --commits --json --offline --max-age --quiet --verbose --help" ;;
    'apply') __gitcomp "--all --dry-run --cascade --json --package --release --offline --max-age --message --operation --quiet --verbose --help" ;;
    'deploy down') __gitcomp "--package --release --message --operation --quiet --verbose --help" ;;
    'deployments') __gitcomp "--environment --deployed --history --since --until --by --failed --limit --at --json --offline --max-age --quiet --verbose --help" ;;
    'promote') __gitcomp "--dry-run --expect --json --package --release --message --operation --quiet --verbose --help" ;;
    'rollback') __gitcomp "--to --no-hold --keep-new --dry-run --expect --json --package --release --message --operation --quiet --verbose --help" ;;
    'undo') __gitcomp "--dry-run --json --message --operation --quiet --verbose --help" ;;
    'hold') __gitcomp "--lift --dry-run --json --package --release --offline --max-age --message --operation --quiet --verbose --help" ;;
    'metrics') __gitcomp "--environment --since --until --by --explain --json --prometheus --offline --max-age --quiet --verbose --help" ;;
    'incident open') __gitcomp "--name --started --message --operation --quiet --verbose --help" ;;
    'incident resolve') __gitcomp "--resolved --message --operation --quiet --verbose --help" ;;
    'incident list') __gitcomp "--unresolved --json --offline --max-age --quiet --verbose --help" ;;
    'package new') __gitcomp "--quiet --verbose --help" ;;
    'package schema') __gitcomp "--quiet --verbose --help" ;;
    'package show') __gitcomp "--commit --json --offline --max-age --quiet --verbose --help" ;;
    'package lint') __gitcomp "--commit --offline --max-age --quiet --verbose --help" ;;
    'release new') __gitcomp "--repo --commit --package --tag --force --cascade --message --operation --quiet --verbose --help" ;;
    'release changed') __gitcomp "--since --dry-run --message --operation --quiet --verbose --help" ;;
    'release continue') __gitcomp "--package --release --offline --max-age --message --quiet --verbose --help" ;;
    'release retry') __gitcomp "--package --release --message --operation --quiet --verbose --help" ;;
    'release lint') __gitcomp "--commit --offline --max-age --quiet --verbose --help" ;;
    'release list') __gitcomp "--json --offline --max-age --quiet --verbose --help" ;;
    'release show') __gitcomp "--json --package --release --offline --max-age --quiet --verbose --help" ;;
    'run start') __gitcomp "--override --package --release --message --operation --quiet --verbose --help" ;;
    'run log') __gitcomp "--package --release --message --operation --quiet --verbose --help" ;;
    'run logs') __gitcomp "--follow --failed --lines --timestamps --json --package --release --offline --max-age --quiet --verbose --help" ;;
    'run finish') __gitcomp "--status --output --outputs --tag --force --package --release --message --operation --quiet --verbose --help" ;;
    'run cancel') __gitcomp "--force --package --release --message --operation --quiet --verbose --help" ;;
    'run exec') __gitcomp "--timeout --override --package --release --message --operation --quiet --verbose --help" ;;
    'run retry') __gitcomp "--package --release --message --operation --quiet --verbose --help" ;;
    'run dismiss') __gitcomp "--package --release --message --operation --quiet --verbose --help" ;;
    'logs') __gitcomp "--follow --failed --lines --timestamps --json --package --release --offline --max-age --quiet --verbose --help" ;;
    'work list') __gitcomp "--json --offline --max-age --quiet --verbose --help" ;;
    'work any') __gitcomp "--dry-run --exec --jobs --offline --max-age --message --quiet --verbose --help" ;;
    'work cascade') __gitcomp "--dry-run --exec --jobs --offline --max-age --message --quiet --verbose --help" ;;
    'work continue') __gitcomp "--dry-run --exec --jobs --offline --max-age --message --quiet --verbose --help" ;;
    'work ops') __gitcomp "--dry-run --offline --max-age --message --quiet --verbose --help" ;;
    'work trigger') __gitcomp "--intent --dry-run --json --offline --max-age --quiet --verbose --help" ;;
    'freeze') __gitcomp "--all --from --until --rrule --duration --timezone --package --allow --name --cancel-pending --message --operation --quiet --verbose --help" ;;
    'thaw') __gitcomp "--all --message --operation --quiet --verbose --help" ;;
    'approve') __gitcomp "--environment --reject --package --release --message --operation --quiet --verbose --help" ;;
    'gate list') __gitcomp "--json --offline --max-age --quiet --verbose --help" ;;
    'gate check') __gitcomp "--environment --json --package --release --offline --max-age --quiet --verbose --help" ;;
    'prune') __gitcomp "--keep-releases --keep --dry-run --json --package --release --offline --max-age --message --operation --quiet --verbose --help" ;;
    'resolve') __gitcomp "--at --json --package --release --offline --max-age --quiet --verbose --help" ;;
    'parse') __gitcomp "--json --quiet --verbose --help" ;;
    'log') __gitcomp "--limit --since --until --author --follow --oneline --patch --run-logs --changes --json --at --package --release --offline --max-age --quiet --verbose --help" ;;
    'blame') __gitcomp "--json --at --package --release --offline --max-age --quiet --verbose --help" ;;
    'watch') __gitcomp "--since --cursor --exec --once --format --offline --quiet --verbose --help" ;;
    'update') __gitcomp "--stdin --package --release --message --operation --quiet --verbose --help" ;;
    'fetch') __gitcomp "--quiet --verbose --help" ;;
    'push') __gitcomp "--ours --theirs --quiet --verbose --help" ;;
    'sync') __gitcomp "--ours --theirs --quiet --verbose --help" ;;
    'fsck') __gitcomp "--at --since --json --offline --max-age --quiet --verbose --help" ;;
    'cache') __gitcomp "--stat --verify --clear --json --offline --max-age --quiet --verbose --help" ;;
    'export') __gitcomp "--at --offline --max-age --quiet --verbose --help" ;;
    'import') __gitcomp "--offline --message --quiet --verbose --help" ;;
    'view') __gitcomp "--port --host --no-browser --at --remote --write --offline --max-age --quiet --verbose --help" ;;
    'site') __gitcomp "--out --at --base --packages --releases --offline --max-age --quiet --verbose --help" ;;
    esac
}
