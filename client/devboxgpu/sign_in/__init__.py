"""Who the person is, from Entra ID: the ways of signing in, one after the other, and what is remembered of them.

A chain of our own and not azure-identity's DefaultAzureCredential: that one also starts az, azd and PowerShell, which
takes seconds, and may end up as an account that nobody meant. azure-identity is imported when a token is needed.
"""
