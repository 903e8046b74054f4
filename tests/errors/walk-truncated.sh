printf '%s\n' '1.3.6.1.2.1.1.5.0|4|core1' '1.3.6.1.2.1.2.2.1.2.1|4|eth1' > core1.snmprec
printf '1.3.6.1.2.1.2.2.1.2' >> core1.snmprec
labctl discover core1.snmprec
