# needs: vtysh
cp "$HERE/../goldens/render/small.yml" .
# a condition with two values, which FRR has no form for
cat > extra <<'YML'
    route_maps:
      - name: EITHER
        entries:
          - seq: 10
            action: permit
            matches:
              - kind: prefix-list-v4
                values: [ONE, OTHER]
YML
sed -i '/^  core-a:/,/^  core-b:/ { /^    bgp:/ { r extra
N } }' small.yml
labctl render small.yml 2> said || status=$?
sed -e '/^rendered/d' -e 's/FRR ([^)]*)/FRR/' said >&2
exit "$status"
