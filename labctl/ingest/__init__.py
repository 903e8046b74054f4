"""Where facts about production come from. One source or parser a file; each yields observations with evidence."""
