"""The view: state in a browser, read-only and local (design 10).

    times, ansi, json_text, addresses, pictures     words: pure
    facts        -> one snapshot as pages ask of it: what `delivery` says, kept between requests
    changes      -> history: commits, and what became of one document
    background   -> what takes longer than a page may
    differences  -> intent against state
    lists, releases, details    what each page shows, as plain JSON values; the JSON answers are these
    filters      -> what templates use to show values
    security     -> what may ask, and what every answer says about itself
    app          -> Flask: addresses to pages
    server       -> waitress, the port
    site_names, site_plan       how the pages of a site are called as files, and which there are
    site_facts   -> the stores at the commit of a site, and what the pages of a package were made of
    published    -> the directory that a site is written to
    site         -> the same pages as files

Flask and waitress are imported by `app`, `site` and `server` alone, and these by the commands `view` and `site`.
"""
