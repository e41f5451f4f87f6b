"""What the lesson reuses: each module does one job."""
