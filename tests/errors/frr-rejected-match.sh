# needs: vtysh
cp "$HERE/../goldens/render/small.yml" .
# an origin that BGP does not have
cat > extra <<'YML'
    route_maps:
      - name: EITHER
        entries:
          - seq: 10
            action: permit
            matches:
              - kind: origin
                values: [bgp]
YML
sed -i '/^  core-a:/,/^  core-b:/ { /^    bgp:/ { r extra
N } }' small.yml
labctl render small.yml 2> said || status=$?
sed -e '/^rendered/d' -e 's/FRR ([^)]*)/FRR/' said >&2
exit "$status"
