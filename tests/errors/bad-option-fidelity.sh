cat > r1.cfg <<END
version 15.2
hostname r1
end
END
labctl discover r1.cfg -n net -o net.yml > /dev/null 2>&1
labctl render net.yml --min-fidelity ninety
