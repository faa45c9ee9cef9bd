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

Flask and waitress are imported by `app` and `server` alone, which nothing but the command `view` imports.
"""
