"""What reads recordings to show, export and replay them. Nothing here changes what is recorded or shipped."""
