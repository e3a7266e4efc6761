"""From a call of the Mailer to a submission server: stored, sent once, tried again."""
