# A lab of a boot that is over: its directory has the name of that boot.
mkdir -p "$LABCTL_STATE/boots/00000000-0000-4000-8000-000000000000/labs/dc1"
labctl heal -l dc1
