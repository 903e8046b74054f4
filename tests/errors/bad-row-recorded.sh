mkdir -p production/configs/r1 production/show/r1
printf 'version 15.2\nhostname r1\nend\n' > production/configs/r1/show_running-config.txt
cat > production/show/r1/show_ip_route.txt <<END
Gateway of last resort is not set

O        10.1.0.0/99 [110/2] via 10.0.0.2, 00:13:22, GigabitEthernet0/0
END
labctl compare lab --with production
