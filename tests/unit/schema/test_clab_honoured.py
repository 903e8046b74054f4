"""Whatever docs/labfile.md calls honoured is named here with a test that sees its effect; a key without one fails.

`test_clab_support.py` shows that a key changes what is to be deployed; these tests look at what runs. What is inside a
node has to be seen on every runtime.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

from labctl.schema import clab_keys
from labctl.schema.clab_keys import Support

TESTS = Path(__file__).parents[2]
KEYS, DEPLOY, DOCKER = "system/test_clab_keys.py", "system/test_deploy.py", "system/test_docker.py"
RUNTIMES, STAGES, OUTPUTS = "system/test_runtimes.py", "system/test_stages.py", "system/test_outputs.py"
MACHINE, SUPPORT = "system/test_machine_links.py", "unit/schema/test_clab_support.py"
FIRST, SETTINGS = "test_the_first_process_is_what_the_file_says", "test_commands_files_and_settings_of_a_node"
FROM_FILE = (f"{DEPLOY}::test_a_lab_from_file_to_nothing", f"{DOCKER}::test_every_verb_on_docker")

#: What has its effect inside a node. Each test, or all of them together, run on runc and on Docker.
NODE = {
    "kind": FROM_FILE,
    "image": (f"{DEPLOY}::test_an_image_given_on_the_command_line_replaces_the_files", f"{DOCKER}::test_an_image_that_only_the_engine_has"),
    "image-pull-policy": (f"{KEYS}::test_an_image_that_is_here_is_asked_for_only_by_always", f"{KEYS}::test_an_image_that_is_missing_is_asked_for_unless_never"),
    "group": FROM_FILE,
    "cmd": (f"{KEYS}::{FIRST}",),
    "entrypoint": (f"{KEYS}::{FIRST}",),
    "env": (f"{KEYS}::test_variables_of_files_and_of_the_node",),
    "env-files": (f"{KEYS}::test_variables_of_files_and_of_the_node",),
    "exec": (f"{KEYS}::{SETTINGS}",),
    "binds": (f"{KEYS}::{SETTINGS}", f"{RUNTIMES}::test_binds_are_as_asked_for"),
    "labels": (f"{KEYS}::{FIRST}", "system/test_limits.py::test_what_goes_beyond_a_rate_waits"),
    "sysctls": (f"{KEYS}::{SETTINGS}", f"{RUNTIMES}::test_a_node_has_its_own_sysctls_and_the_machine_keeps_its"),
    "user": (f"{KEYS}::{FIRST}",),
    "hostname": (f"{KEYS}::{FIRST}",),
    "mgmt-ipv4": (f"{KEYS}::test_management_addresses_and_mtu",),
    "mgmt-ipv6": (f"{KEYS}::test_management_addresses_and_mtu",),
    "network-mode": (f"{KEYS}::test_management_addresses_and_mtu", "system/test_shared_networks.py::test_one_namespace_under_several_names"),
    "startup-delay": (f"{KEYS}::test_it_is_started_after_its_delay",),
    "stages": (f"{STAGES}::test_a_node_starts_when_those_that_it_waits_for_are_there",),
    "healthcheck": (f"{STAGES}::test_health_is_followed_over_the_life_of_a_node",),
    "cpu": (f"{KEYS}::test_limits_of_the_file",),
    "memory": (f"{KEYS}::test_limits_of_the_file",),
    "cpu-set": (f"{KEYS}::test_a_node_runs_on_its_processors_also_after_a_restart",),
    "shm-size": (f"{KEYS}::test_memory_file_systems_have_their_sizes_and_options",),
    "tmpfs": (f"{KEYS}::test_memory_file_systems_have_their_sizes_and_options",),
    "ports": ("system/test_ports.py::test_what_is_said_to_the_machines_port_is_said_to_the_node",),
    "dns": (f"{KEYS}::test_the_resolver_and_the_names_of_other_nodes",),
    "aliases": (f"{KEYS}::test_the_resolver_and_the_names_of_other_nodes",),
    "privileged": ("system/test_capabilities.py::test_the_command_and_what_enters_have_the_same_and_no_more",),
    "cap-add": ("system/test_capabilities.py::test_the_command_and_what_enters_have_the_same_and_no_more",),
    "devices": (f"{KEYS}::test_a_node_has_the_devices_that_it_asks_for_and_no_other_may_use_them_unasked",),
    "restart-policy": ("system/test_restart_policy.py::test_a_command_that_fails_is_started_again_and_again_and_one_that_is_done_is_not",),
}  # fmt: skip

_STAGES = (f"{STAGES}::test_a_node_starts_when_those_that_it_waits_for_are_there",)
_ENDS = (f"{STAGES}::test_waiting_for_the_end_of_a_node_and_for_light",)
_HEALTH = (f"{STAGES}::test_health_is_followed_over_the_life_of_a_node",)
_RANGE = (f"{KEYS}::test_addresses_come_from_the_range_and_not_the_gateway",)
_READ = (f"{SUPPORT}::test_a_key_of_the_management_network",)
_TUNNEL = (f"{MACHINE}::test_a_tunnel_joins_labs_on_two_machines",)
_PORTS = (f"{KEYS}::test_the_ports_of_a_node_are_as_its_links_say",)
_OUT = (f"{MACHINE}::test_a_macvlan_leads_out_over_an_interface_of_the_machine",)
_SHOWN = ("unit/schema/test_clab_cases.py::test_vars_of_a_link_and_of_its_ends_reach_the_topology_data",)
_SELECTED = ("unit/topo/test_query.py::test_what_a_query_selects",)
_INHERITED = ("unit/schema/test_clab.py::test_the_most_specific_level_wins_and_maps_merge",)
#: What every link may say.
_LINK = {
    "labels": (*_SELECTED, "system/test_base_state.py::test_a_cable_is_what_its_labels_say"),
    "vars": _SHOWN,
    "mtu": _PORTS,
    "type": ("unit/schema/test_clab.py::test_an_extended_link",),
}
OTHERS = {
    "TOP": {
        "name": FROM_FILE,
        "prefix": ("unit/schema/test_clab_cases.py::test_names_of_containers",),
        "mgmt": _RANGE,
        "topology": FROM_FILE,
    },
    "TOPOLOGY": {
        "nodes": FROM_FILE,
        "links": _PORTS,
        "kinds": _INHERITED,
        "groups": _INHERITED,
        "defaults": _INHERITED,
    },
    "STAGE": {"wait-for": _STAGES, "exec": _STAGES},
    "WAIT_FOR": {"node": _STAGES, "stage": _STAGES},
    "STAGE_EXEC": {"command": _STAGES, "target": _STAGES, "phase": _STAGES},
    "BRIEF": {"endpoints": _PORTS, "ipv4": _PORTS, "ipv6": _PORTS, **_LINK},
    "VETH": {"endpoints": _PORTS, **_LINK},
    "DUMMY": {"endpoint": _PORTS, **_LINK},
    "HOST": {
        **dict.fromkeys(("endpoint", "host-interface"), (f"{MACHINE}::test_links_of_a_file_lead_where_it_says",)),
        **_LINK,
        "mtu": (f"{MACHINE}::test_links_of_a_file_lead_where_it_says",),
    },
    "MACVLAN": {"endpoint": _OUT, "host-interface": _OUT, "mode": _OUT, **_LINK, "mtu": (f"{MACHINE}::test_links_of_a_file_lead_where_it_says",)},
    "VXLAN": {
        **dict.fromkeys(("endpoint", "remote"), _TUNNEL),
        **dict.fromkeys(("vni", "dst-port", "src-port"), (f"{MACHINE}::test_what_a_tunnel_sends_has_its_ports_and_its_number",)),
        "parent-interface": (f"{MACHINE}::test_a_tunnel_leaves_by_the_interface_that_is_named",),
        **_LINK,
        "mtu": (f"{MACHINE}::test_links_of_a_file_lead_where_it_says",),
    },
    "END": {**dict.fromkeys(("node", "interface", "mac", "ipv4", "ipv6"), _PORTS), "vars": _SHOWN},
    "MGMT": {
        "network": _READ,  # only `inspect` shows it
        "ipv4-subnet": _READ,
        "ipv6-subnet": _READ,
        "mtu": (f"{KEYS}::test_management_addresses_and_mtu",),
        "ipv4-gw": _RANGE,
        "ipv4-range": _RANGE,
        "ipv6-gw": _READ,
        "ipv6-range": _READ,
    },
    "KINDS": {
        "linux": FROM_FILE,
        "bridge": FROM_FILE,
        "host": (f"{MACHINE}::test_an_interface_of_the_machine_is_the_far_end_of_a_cable",),
    },
    "STAGES": {
        "create": _STAGES,
        "create-links": _ENDS,
        "configure": _STAGES,
        "healthy": (f"{STAGES}::test_who_waits_for_the_health_of_a_node_that_ends_is_told_and_nothing_stays",),
        "exit": _ENDS,
    },
    "HEALTHCHECK": {
        **dict.fromkeys(("test", "interval", "timeout"), _HEALTH),
        "start-period": ("unit/model/test_stages.py::test_health_is_counted_as_docker_counts_it",),
        "retries": ("unit/model/test_stages.py::test_health_is_counted_as_docker_counts_it",),
    },
    "DNS": dict.fromkeys(clab_keys.DNS, (f"{KEYS}::test_the_resolver_and_the_names_of_other_nodes",)),
    "LINK_TYPES": {
        "brief": FROM_FILE,
        "veth": ("unit/schema/test_clab.py::test_an_extended_link",),
        "veth-stitch": ("unit/schema/test_clab.py::test_an_extended_link",),
        "dummy": ("unit/schema/test_clab.py::test_a_dummy_link_is_a_stub",),
        "host": (f"{MACHINE}::test_an_interface_of_the_machine_is_the_far_end_of_a_cable",),
        "mgmt-net": (f"{MACHINE}::test_a_link_into_the_management_network",),
        "macvlan": (f"{MACHINE}::test_a_macvlan_leads_out_over_an_interface_of_the_machine",),
        "vxlan": _TUNNEL,
        "vxlan-stitch": ("unit/schema/test_clab.py::test_links_to_the_machine_and_out_of_it",),
    },
}  # fmt: skip


@cache
def functions(path):
    """The tests of a file, and whether they run on Docker as well: both, docker or runc."""
    text = (TESTS / path).read_text()
    names = {each.name for each in ast.parse(text).body if isinstance(each, ast.FunctionDef)}
    if "pytest.mark.both" in text or 'params=["runc", pytest.param("docker"' in text:
        return names, {"runc", "docker"}
    return names, {"docker"} if "pytestmark = [pytest.mark.root, pytest.mark.docker]" in text else {"runc"}


def honoured(table):
    return {name for name, key in table.items() if key.support is Support.YES}


def test_no_table_of_keys_is_left_out():
    """Those whose names begin with `_` are parts of others."""
    tables = {
        name
        for name, value in vars(clab_keys).items()
        if not name.startswith("_") and isinstance(value, dict) and value
        if all(isinstance(key, clab_keys.Key) for key in value.values()) and honoured(value)
    }
    assert tables == {"NODE", *OTHERS}


def test_every_honoured_key_of_a_node_names_its_test():
    assert set(NODE) == honoured(clab_keys.NODE)


@pytest.mark.parametrize("table", OTHERS)
def test_every_other_honoured_key_names_its_test(table):
    assert set(OTHERS[table]) == honoured(getattr(clab_keys, table))


ALL = [("NODE", key, tests) for key, tests in NODE.items()]
ALL += [(table, key, tests) for table, keys in OTHERS.items() for key, tests in keys.items()]


@pytest.mark.parametrize(("table", "key", "tests"), ALL)
def test_these_tests_are_there_and_speak_of_it(table, key, tests):
    runtimes = set()
    for each in tests:
        path, _, name = each.partition("::")
        names, on = functions(path)
        assert name in names, f"{path} has no {name}"
        runtimes |= on
    said = "".join((TESTS / each.partition("::")[0]).read_text().lower() for each in tests)
    word = "endpoints: [" if key == "brief" else key
    assert word in said or word.replace("-", "_") in said
    if table == "NODE":
        assert runtimes == {"runc", "docker"}, f"{key} is seen on {runtimes} only"
