"""Who may look: users, sessions, the sign-in page, and the gate that every request passes.

Everything is kept in the database, so that it holds for all worker processes at once and ends when it is
deleted there: the monitored app's own session, secret key and users are never touched.
"""
