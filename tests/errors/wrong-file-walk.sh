echo '1.3.6.1.2.1.1.5.0|4|core1' > core1.snmprec
labctl validate core1.snmprec
