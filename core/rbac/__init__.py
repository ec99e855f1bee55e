"""Who may do what: actors, the permission vocabulary, built-in roles and one evaluator.

Grants come from the callable that the setting ``RBAC_GRANT_SOURCE`` names, so this
package knows neither memberships nor repositories.
"""
