"""CVE allowlists: vulnerabilities that are known and accepted, in the system or in a project.

A project uses the list of the system while its metadata ``reuse_sys_cve_allowlist`` is true, as
it is in a new project, and else its own. Nothing is held back because of vulnerabilities yet;
what will be asks ``queries``. Neighbours: ``projects`` below; ``members`` above shows the list
that is in force with each project, and changes a project's own together with the project.
"""
