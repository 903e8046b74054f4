printf '%s\n' 'netbox:' '  url: http://127.0.0.1:1' '  site: dc1' > netbox.yml
labctl discover netbox.yml
