# bash completion for git ocuroot; found by git's own completion. Made by man/build.py.

_git_ocuroot ()
{
    local cur words cword prev
    # Refs hold '@', and may hold ':', which readline takes for the end of a word.
    _get_comp_words_by_ref -n @:= cur words cword prev
    local i=2 command
    [[ ${words[i]} == state ]] && i=3
    command=${words[i]}
    if ((cword <= i)); then
        __gitcomp "init status get match set delete resolve parse log update fsck export import"
        return
    fi
    if [[ $cur != -* ]]; then
        local IFS=$'\n'
        local refs=$(git ocuroot match --limit 1000 -- "${cur//[\\*?\[\]\{\}]/}**" 2>/dev/null)
        COMPREPLY=($(compgen -W "$refs" -- "$cur"))
        __ltrim_colon_completions "$cur" 2>/dev/null
        return
    fi
    case $command in
    init) __gitcomp "--branch --intent-branch --dialect --package --release --quiet --verbose --help" ;;
    status) __gitcomp "--json --package --release --quiet --verbose --help" ;;
    get) __gitcomp "--at --format --default --batch --package --release --quiet --verbose --help" ;;
    match) __gitcomp "--no-links --state --intent --values --json --count --exclude --sort --limit --at --package --release --quiet --verbose --help" ;;
    set) __gitcomp "--format --message --if-absent --if-match --package --release --quiet --verbose --help" ;;
    delete) __gitcomp "--message --if-match --package --release --quiet --verbose --help" ;;
    resolve) __gitcomp "--at --package --release --quiet --verbose --help" ;;
    parse) __gitcomp "--json --package --release --quiet --verbose --help" ;;
    log) __gitcomp "--limit --json --at --package --release --quiet --verbose --help" ;;
    update) __gitcomp "--stdin --message --package --release --quiet --verbose --help" ;;
    fsck) __gitcomp "--at --package --release --quiet --verbose --help" ;;
    export) __gitcomp "--at --package --release --quiet --verbose --help" ;;
    import) __gitcomp "--message --package --release --quiet --verbose --help" ;;
    esac
}
