"""Changes that a configuration makes when it is read again."""

from tests.config.configurations import LISTEN, SCANNER
from wsdgateway.config.changes import compare
from wsdgateway.config.reading import make_config


def test_what_makes_another_scanner_of_it():
    def config(**scanner):
        return make_config({"listen": [{"endpoint": "tcp:1"}], "scanner": [
            {"name": "a", "scan": "http://192.0.2.1/", **scanner}]}, "g.toml")

    assert compare(config(), config()).changed == ()
    assert compare(config(), config(timeout=5, lenient=True, max_connections=1)).changed == ()
    for change in ({"scan": "http://192.0.2.2/"}, {"events": "off"}):
        assert [one.name for one in compare(config(), config(**change)).changed] == ["a"]
    assert compare(config(), config(bridge=False)).removed == ("a",)
    assert [one.name for one in compare(config(bridge=False), config()).added] == ["a"]


def with_sections(**sections):
    return make_config({"listen": [LISTEN], "scanner": [SCANNER], **sections}, "g.toml")


def test_what_needs_a_restart_stays_as_it_was_and_is_named():
    old = with_sections()
    changes = compare(old, with_sections(
        listen=[{"endpoint": "tcp:1"}], gateway={"name": "x"}, discovery={"proxy": True, "exclude": ["X*"]},
        admin={"endpoint": "tcp:2", "connections": 5}))
    assert [line.partition(" takes effect after a restart")[0] for line in changes.later] == [
        "[gateway]", "[listen]", "[discovery]", "[admin] endpoint"]
    config = changes.config
    assert (config.gateway, config.listen, config.discovery.proxy) == (old.gateway, old.listen, False)
    assert [rule.text for rule in config.discovery.exclude] == ["X*"]
    assert (config.admin.endpoint, config.admin.connections) == (old.admin.endpoint, 5)
    assert changes.sections == ("discovery", "admin")
