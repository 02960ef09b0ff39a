"""What a program finds beside itself in ``/in``: these files are copied there, never imported here."""
