printf 'version 15.2\nhostname r1\nend\n' > r1.cfg
labctl discover r1.cfg -n net -o net.yml > /dev/null 2>&1
echo '{"kind": "fidelity-account", "version": 9, "devices": {}}' > net.account.json
labctl render net.yml
