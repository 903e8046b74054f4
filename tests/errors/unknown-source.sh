echo 'Dear diary' > notes.txt
labctl discover notes.txt
