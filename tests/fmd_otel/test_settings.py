"""Environment, code and keywords: who wins, who is told, and what is masked."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

import fmd_otel
from fmd_otel import parsers
from fmd_otel.composition import load_settings
from fmd_otel.configuration import Config
from fmd_otel.keys import BY_KEYWORD, BY_NAME, KEYS, MASK
from fmd_otel.settings import Settings
from fmd_otel_exporter import settings as exporter_settings
from fmd_otel_exporter.errors import SettingsError
from fmd_otel_exporter.level_rule import LevelRule

ROOT = Path(__file__).parents[2]


def refuse(keywords=None, **environ):
    with pytest.raises(SettingsError) as caught:
        load_settings(keywords, environ=environ)
    return str(caught.value)


def test_every_key_is_a_field_with_the_same_default():
    defaults = {field.name: getattr(Settings(), field.name) for field in fields(Settings)}
    for key in KEYS:
        assert defaults[key.keyword] == key.default, key.name
    assert set(defaults) - set(BY_KEYWORD) == {"origins", "warnings"}


def test_every_key_is_a_variable():
    environ = {
        "FMD_OTEL_APP_VERSION": "2",
        "FMD_OTEL_GIT": "/repo",
        "FMD_OTEL_BLUEPRINT_NAME": "x",
        "FMD_OTEL_CUSTOM_LINK": "status",
        "FMD_OTEL_MONITOR_LEVEL": "2",
        "FMD_OTEL_MONITOR_RULES": "static: 0, api.*: 3",
        "FMD_OTEL_OUTLIER_DETECTION_CONSTANT": "4",
        "FMD_OTEL_SAMPLING_PERIOD": "5.5",
        "FMD_OTEL_PROFILE_RATE": "3",
        "FMD_OTEL_ENABLE_LOGGING": "1",
        "FMD_OTEL_BRAND_NAME": "b",
        "FMD_OTEL_TITLE_NAME": "t",
        "FMD_OTEL_DESCRIPTION": "d",
        "FMD_OTEL_SHOW_LOGIN_BANNER": "off",
        "FMD_OTEL_SHOW_LOGIN_FOOTER": "false",
        "FMD_OTEL_USERNAME": "u",
        "FMD_OTEL_PASSWORD": "p",
        "FMD_OTEL_GUEST_USERNAME": "g",
        "FMD_OTEL_GUEST_PASSWORD": "g",
        "FMD_OTEL_SECURITY_TOKEN": "s" * 16,
        "FMD_OTEL_AUTH": "shop.users:visitor",
        "FMD_OTEL_AUTH_LOGIN_URL": "/login",
        "FMD_OTEL_AUTH_LOGOUT_URL": "https://sso.example.com/logout",
        "FMD_OTEL_AUTH_PROXY_HEADER": "X-Forwarded-User",
        "FMD_OTEL_AUTH_PROXY_TRUSTED": "127.0.0.1, 10.1.0.0/16, unix",
        "FMD_OTEL_AUTH_PROXY_ROLE_HEADER": "X-Forwarded-Groups",
        "FMD_OTEL_AUTH_ADMINS": "ada",
        "FMD_OTEL_AUTH_ADMIN_GROUPS": "ops",
        "FMD_OTEL_AUTH_GUEST_GROUPS": "dev, support",
        "FMD_OTEL_OIDC_DISCOVERY_URL": "https://sso.example.com/.well-known/openid-configuration",
        "FMD_OTEL_OIDC_CLIENT_ID": "dashboard",
        "FMD_OTEL_OIDC_CLIENT_SECRET": "s",
        "FMD_OTEL_OIDC_GROUPS_CLAIM": "roles",
        "FMD_OTEL_OIDC_SCOPES": "openid groups",
        "FMD_OTEL_OIDC_REDIRECT_URL": "https://apm.example.com/dashboard/oidc/callback",
        "FMD_OTEL_EDITOR_LINK": "vscode://file/{path}:{line}",
        "FMD_OTEL_TABLE_PREFIX": "x",
        "FMD_OTEL_DATABASE": "postgresql+psycopg://u:p@h/d",
        "FMD_OTEL_TIMEZONE": "UTC",
        "FMD_OTEL_COLORS": "{'a': '#00FF00'}",
        "FMD_OTEL_GROUP_BY": "shop.users:current",
        "FMD_OTEL_GET_IP": "shop.users:ip",
        "FMD_OTEL_SCRUB": "shop.users:scrub",
        "FMD_OTEL_SCRUB_KEYS": "patient_id, insurance",
        "FMD_OTEL_EXCEPTION_LOCALS": "on",
        "FMD_OTEL_OUTLIER_MIN_REQUESTS": "5",
        "FMD_OTEL_INCLUDE_DASHBOARD": "no",
        "FMD_OTEL_QUEUE_SIZE": "100",
        "FMD_OTEL_BATCH_SIZE": "10",
        "FMD_OTEL_DELAY_MS": "50",
        "FMD_OTEL_SPOOL_DIR": "waiting",
        "FMD_OTEL_SPOOL_MB": "8",
        "FMD_OTEL_RETENTION_RAW_DAYS": "7",
        "FMD_OTEL_RETENTION_HOURLY_DAYS": "14",
        "FMD_OTEL_RETENTION_DAILY_DAYS": "365",
    }
    assert set(environ) == {key.variable for key in KEYS}
    settings = load_settings(environ=environ)
    assert settings.origins == {key.name: key.variable for key in KEYS}
    assert settings.monitor_level == 2
    assert settings.monitor_rules == (LevelRule("static", 0), LevelRule("api.*", 3))
    assert settings.sampling_period == 5.5
    assert settings.scrub_keys == ("patient_id", "insurance")
    assert settings.include_dashboard is False
    assert settings.colors == {"a": "#00ff00"}
    assert repr(settings.group_by) == "shop.users:current"
    assert settings.exporter().queue_size == 100
    assert settings.exporter().retention_daily_days == 365


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("static", "'static' has no level: expected rules such as static: 0, api.*: 3"),
        ("static: 7", "the level of 'static' is '7': expected a whole number from 0 to 3"),
        ("api.*: three", "the level of 'api.*' is 'three': expected a whole number from 0 to 3"),
        (": 3", "'' names no endpoint: expected a name or a pattern"),
        ("{'static'", "expected rules such as static: 0, api.*: 3"),
        (",".join(f"a{n}: 1" for n in range(101)), "expected 100 rules at most, not 101"),
    ],
)
def test_rules_that_are_none_are_told_with_their_place_and_the_remedy(tmp_path, written, told):
    assert told in refuse(FMD_OTEL_MONITOR_RULES=written)
    assert refuse(FMD_OTEL_MONITOR_RULES=written).startswith(
        f"environment variable FMD_OTEL_MONITOR_RULES={written!r}: "
    )
    assert told in refuse({"monitor_rules": written})
    path = tmp_path / "config.cfg"
    path.write_text(f"[dashboard]\nMONITOR_RULES={written}\n")
    with pytest.raises(SettingsError) as error:
        load_settings({"config": path}, environ={})
    assert f"{path}:2: [dashboard] MONITOR_RULES={written!r}: " in str(error.value)


@pytest.mark.parametrize(
    "given", ["static: 0, api.*: 3", {"static": 0, "api.*": 3}, "{'static': 0, 'api.*': '3'}"]
)
def test_rules_are_given_as_text_or_as_a_dictionary_and_reach_exporter_and_dashboard(given):
    settings = load_settings({"monitor_rules": given}, environ={})
    expected = LevelRule("static", 0), LevelRule("api.*", 3)
    assert settings.exporter().default_rules == settings.dashboard().default_rules == expected
    shown = {key.name: (value, origin) for key, value, origin in settings.shown()}
    assert shown["MONITOR_RULES"] == ("static: 0, api.*: 3", "keyword monitor_rules")


def test_stronger_wins_default_file_environment_code_keyword(tmp_path):
    path = tmp_path / "config.cfg"
    path.write_text("[dashboard]\nMONITOR_LEVEL=0\nBRAND_NAME=file\nTITLE_NAME=file\nCUSTOM_LINK=file\n")
    environ = {
        "FMD_OTEL_CONFIG": str(path),
        "FMD_OTEL_BRAND_NAME": "env",
        "FMD_OTEL_TITLE_NAME": "env",
        "FMD_OTEL_CUSTOM_LINK": "env",
    }
    settings = load_settings(
        {"custom_link": "keyword"},
        in_code={"TITLE_NAME": "code", "CUSTOM_LINK": "code"},
        environ=environ,
    )
    assert settings.description.startswith("Automatically")
    assert settings.monitor_level == 0
    assert (settings.brand_name, settings.title_name, settings.custom_link) == ("env", "code", "keyword")
    assert settings.origins == {
        "MONITOR_LEVEL": f"{path}:2",
        "BRAND_NAME": "FMD_OTEL_BRAND_NAME",
        "TITLE_NAME": "fmd_otel.config.title_name",
        "CUSTOM_LINK": "keyword custom_link",
    }


def test_an_unknown_variable_is_told():
    message = refuse(FMD_OTEL_MONITORLEVEL="2")
    assert message.startswith("environment variable FMD_OTEL_MONITORLEVEL='2': unknown setting;")
    assert message.endswith("did you mean FMD_OTEL_MONITOR_LEVEL?")
    assert "fmd-otel config" in refuse(FMD_OTEL_QQQQ="2")
    assert "did you mean FMD_OTEL_CONFIG?" in refuse(FMD_OTEL_CONFIGG="2")


def test_a_wrong_variable_is_told():
    assert refuse(FMD_OTEL_MONITOR_LEVEL="7") == (
        "environment variable FMD_OTEL_MONITOR_LEVEL='7': expected a whole number from 0 to 3"
    )


def test_a_wrong_value_is_told_even_where_a_stronger_one_hides_it():
    assert "FMD_OTEL_MONITOR_LEVEL='7'" in refuse({"monitor_level": 1}, FMD_OTEL_MONITOR_LEVEL="7")


def test_a_missing_file_says_which_variable_names_it():
    message = refuse(FMD_OTEL_CONFIG="/no/such/config.cfg")
    assert "/no/such/config.cfg does not exist" in message
    assert "FMD_OTEL_CONFIG" in message


def test_empty_variables_count_as_unset():
    assert load_settings(environ={"FMD_OTEL_PASSWORD": "", "FMD_OTEL_CONFIG": " "}).password is None


@pytest.mark.parametrize(
    "name",
    [
        "FMD_OTEL_SERVICE_HOST",
        "FMD_OTEL_SERVICE_PORT",
        "FMD_OTEL_SERVICE_PORT_HTTP",
        "FMD_OTEL_PORT",
        "FMD_OTEL_PORT_8050_TCP",
        "FMD_OTEL_PORT_8050_TCP_ADDR",
        "FMD_OTEL_DASHBOARD_SERVICE_HOST",
        "FMD_OTEL_DASHBOARD_PORT_80_TCP_PROTO",
    ],
)
def test_variables_that_kubernetes_makes_up_for_a_service_of_our_name_are_no_settings(name):
    assert load_settings(environ={name: "tcp://10.0.0.1:8050"}) == Settings()


def test_keywords_take_python_values():
    settings = load_settings(
        {
            "app_version": 2,
            "monitor_level": 0,
            "colors": {"a": (0, 0, 0)},
            "git": Path("/repo"),
            "group_by": ("a", 1),
        },
        environ={},
    )
    assert (settings.app_version, settings.monitor_level, settings.colors) == ("2", 0, {"a": "#000000"})
    assert (settings.git, settings.group_by) == (Path("/repo"), ("a", 1))


def test_a_string_given_to_group_by_in_code_is_a_string():
    assert load_settings({"group_by": "module:like"}, environ={}).group_by == "module:like"


def test_none_means_not_given():
    assert load_settings({"monitor_level": None}, environ={}).origins == {}


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"monitor_levl": 1}, "keyword monitor_levl=1: unknown setting; did you mean monitor_level?"),
        ({"confg": 1}, "did you mean config?"),
        ({"qqqq": 1}, "the keywords are app_version"),
        ({"passwrd": "hunter2"}, "keyword passwrd=***"),
        ({"monitor_level": True}, "keyword monitor_level=True: expected a whole number"),
        ({"monitor_level": "two"}, "expected a whole number"),
        ({"app_version": object}, "expected a string"),
        ({"git": 3}, "expected a path"),
        ({"database": 3}, "expected a database URL"),
        ({"database": "sqlite://fmd.db"}, "expected three slashes before a file's name"),
        ({"colors": [1]}, "expected a dictionary"),
        ({"get_ip": 3}, "keyword get_ip=3: expected a function"),
        ({"get_ip": "nonsense"}, "expected module:function"),
        ({"timezone": ""}, "expected a time zone"),
    ],
)
def test_wrong_keywords_are_told(keywords, said):
    assert said in refuse(keywords)


def test_a_url_object_of_sqlalchemy_keeps_its_password():
    url = make_url("postgresql://u:hunter2@h/d")
    assert load_settings({"database": url}, environ={}).database == "postgresql://u:hunter2@h/d"


def test_what_is_shown_has_no_secrets():
    settings = load_settings(
        {
            "username": "u",
            "password": "hunter2",
            "security_token": "tok3n-hunter2-tok3n",
            "database": "mysql://u:hunter2@h/d",
            "group_by": refuse,
            "get_ip": lambda: None,
        },
        environ={},
    )
    rows = {key.name: value for key, value, _ in settings.shown()}
    text = str(rows) + repr(settings)
    assert "hunter2" not in text
    assert "tok3n" not in text
    assert rows["DATABASE"] == "mysql://u:***@h/d"
    assert rows["GROUP_BY"].endswith(":refuse")
    assert rows["PASSWORD"] == MASK


def test_sums_that_would_go_before_their_requests_are_told_with_who_said_so():
    said = refuse({"retention_hourly_days": 14}, FMD_OTEL_RETENTION_RAW_DAYS="20")
    assert said == (
        "RETENTION_HOURLY_DAYS=14 (keyword retention_hourly_days) is less than RETENTION_RAW_DAYS=20 "
        "(FMD_OTEL_RETENTION_RAW_DAYS): sums would go before the requests they are made of; set it to 20 or "
        "more, or to 0, which is for ever, or lower the other"
    )
    assert "RETENTION_HOURLY_DAYS=90 (default) is less than" in refuse(FMD_OTEL_RETENTION_RAW_DAYS="91")
    assert "expected a whole number from 0 to 36500" in refuse(FMD_OTEL_RETENTION_RAW_DAYS="a month")


def test_the_variables_of_the_other_rooms_are_settings():
    """A variable that only the exporter or the dashboard knew would be refused here."""
    mentioned = set(exporter_settings._VARIABLES)
    for path in (ROOT / "dash_app").rglob("*.py"):
        mentioned |= set(re.findall(r"FMD_OTEL_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8")))
    assert mentioned - {key.variable for key in KEYS} - {"FMD_OTEL_CONFIG"} == set()


# The object of Flask-MonitoringDashboard's users ------------------------------------------------------------


@pytest.fixture
def config():
    return Config()


def test_init_from_a_file(config, tmp_path):
    (tmp_path / "config.cfg").write_text("[dashboard]\nMONITOR_LEVEL=2\n")
    config.init_from(file=str(tmp_path / "config.cfg"))
    assert config.monitor_level == 2


def test_init_from_a_variable(config, tmp_path, monkeypatch):
    (tmp_path / "config.cfg").write_text("[dashboard]\nAPP_VERSION=5\n")
    monkeypatch.setenv("SHOP_CONFIG", str(tmp_path / "config.cfg"))
    config.init_from(envvar="SHOP_CONFIG")
    assert config.version == "5"


def test_init_from_keeps_the_file_as_it_was_read(config, tmp_path, monkeypatch):
    (tmp_path / "config.cfg").write_text("[dashboard]\nGIT=.git\n")
    monkeypatch.chdir(tmp_path)
    config.init_from(file="config.cfg")
    monkeypatch.chdir("/")
    assert config.git == tmp_path / ".git"


def test_init_from_tells_what_is_wrong_at_once(config, tmp_path):
    with pytest.raises(SettingsError, match=r"SHOP_CONFIG.*not set"):
        config.init_from(envvar="SHOP_CONFIG")
    with pytest.raises(SettingsError, match="needs file="):
        config.init_from()
    with pytest.raises(SettingsError, match="does not exist"):
        config.init_from(file=tmp_path / "x.cfg")
    (tmp_path / "config.cfg").write_text("[dashboard]\nMONITOR_LEVEL=9\n")
    with pytest.raises(SettingsError, match="MONITOR_LEVEL='9'"):
        config.init_from(file=tmp_path / "config.cfg")


def test_init_from_can_tell_what_it_read(config, tmp_path, caplog):
    (tmp_path / "config.cfg").write_text("[authentication]\nUSERNAME=u\nPASSWORD=hunter2\n")
    caplog.set_level("INFO", "fmd_otel")
    config.init_from(file=tmp_path / "config.cfg", log_verbose=True)
    assert "USERNAME = u" in caplog.text
    assert "hunter2" not in caplog.text


def test_attributes_under_both_names(config):
    config.version = "4"
    config.link = "status"
    config.database_name = "sqlite:///x.db"
    config.monitor_level = 0
    settings = config.settings()
    assert (settings.app_version, settings.custom_link, settings.database) == (
        "4",
        "status",
        "sqlite:///x.db",
    )
    assert config.monitor_level == 0
    config.monitor_level = None
    assert config.monitor_level == 1


def test_group_by_and_get_ip(config):
    def get_ip():
        return "::1"

    config.group_by = ("User", 3)
    config.inject_dependencies(get_ip=get_ip)
    settings = config.settings()
    assert (settings.group_by, settings.get_ip) == (("User", 3), get_ip)


def test_a_wrong_attribute_is_told_where_it_is_assigned(config):
    with pytest.raises(
        SettingsError, match=r"fmd_otel.config.monitor_levl = 1: unknown.*did you mean monitor_level"
    ):
        config.monitor_levl = 1
    with pytest.raises(SettingsError, match="expected a whole number"):
        config.monitor_level = 9
    with pytest.raises(SettingsError) as caught:
        config.passwrd = "hunter2"  # made up
    assert "hunter2" not in str(caught.value)
    with pytest.raises(AttributeError):
        _ = config.nonsense


def test_a_keyword_is_stronger_than_an_attribute(config):
    config.monitor_level = 2
    assert config.settings({"monitor_level": 3}).monitor_level == 3


def test_a_late_assignment_is_told(config, caplog, tmp_path):
    class Follower:
        def setting_changed(self, name, value):
            self.seen = (name, value)

    follower = Follower()
    config.follow(follower)
    config.group_by = 3
    assert follower.seen == ("group_by", 3)
    config.monitor_level = 3
    assert "config.monitor_level came after" in caplog.text
    (tmp_path / "config.cfg").write_text("[dashboard]\n")
    config.init_from(file=tmp_path / "config.cfg")
    assert "config.init_from() came after" in caplog.text


def test_the_one_of_the_package():
    assert fmd_otel.config.settings() == Settings()


# Whatever people write --------------------------------------------------------------------------------------


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def settings_or_error(keywords=None, **environ):
    try:
        load_settings(keywords, environ=environ)
    except SettingsError as error:
        return str(error)
    return None


@given(st.sampled_from(sorted(BY_NAME)), st.text(max_size=60))
def test_any_text_in_a_variable_gives_settings_or_a_plain_error(name, text):
    error = settings_or_error(**{f"FMD_OTEL_{name}": text})
    assert error is None or name in error


@given(st.sampled_from(sorted(BY_KEYWORD)), anything)
def test_any_object_given_as_keyword_gives_settings_or_a_plain_error(keyword, value):
    error = settings_or_error({keyword: value})
    assert error is None or keyword in error.lower()


@given(st.text())
def test_quotes_are_taken_off_once(text):
    assert parsers.unquote(repr(text)) == text


def test_a_token_that_could_be_guessed_is_refused_without_being_shown():
    said = refuse(FMD_OTEL_SECURITY_TOKEN="sesame-open")
    assert "environment variable FMD_OTEL_SECURITY_TOKEN" in said
    assert "16 characters or more" in said
    assert "secrets.token_urlsafe" in said
    assert "sesame" not in said
    assert not load_settings(environ={"FMD_OTEL_SECURITY_TOKEN": ""}).security_token


def test_a_proxy_may_be_trusted_for_the_clients_address_alone():
    found = load_settings(environ={"FMD_OTEL_AUTH_PROXY_TRUSTED": "127.0.0.1"})
    assert found.auth_proxy_trusted == ("127.0.0.1",)


def test_a_proxys_header_needs_to_know_the_proxy():
    said = refuse({"auth_proxy_header": "X-Forwarded-User"})
    assert "keyword auth_proxy_header" in said
    assert "without AUTH_PROXY_TRUSTED" in said
    assert "without AUTH_PROXY_TRUSTED" in refuse(
        FMD_OTEL_AUTH_PROXY_HEADER="X-User", FMD_OTEL_AUTH_PROXY_TRUSTED=" , "
    )
    assert "no effect without AUTH_PROXY_HEADER" in refuse(FMD_OTEL_AUTH_PROXY_ROLE_HEADER="X-Role")
    assert "expected addresses and networks" in refuse(FMD_OTEL_AUTH_PROXY_TRUSTED="proxy.local")
    assert "expected addresses and networks" in refuse(FMD_OTEL_AUTH_PROXY_TRUSTED="10.0.0.1/8")
    assert "request header" in refuse(FMD_OTEL_AUTH_PROXY_HEADER="X User")


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "//evil.example", "/\\evil", "login", "/a b", "https://"]
)
def test_nobody_is_sent_to_a_strange_address(address):
    assert "expected a path such as /login" in refuse({"auth_login_url": address})


def test_a_constant_is_no_function_that_decides_who_gets_in(monkeypatch):
    assert "expected a function" in refuse({"auth": True})
    module = ModuleType("shop_roles")
    module.ROLE, module.who = "admin", lambda environ: environ["role"]
    monkeypatch.setitem(sys.modules, "shop_roles", module)
    hook = load_settings(environ={"FMD_OTEL_AUTH": "shop_roles:ROLE"}).dashboard().auth.hook
    with pytest.raises(TypeError, match="shop_roles:ROLE is no function"):
        hook({})
    hook = load_settings({"auth": "shop_roles:who"}, environ={}).dashboard().auth.hook
    assert hook({"role": "guest"}) == "guest"


def test_the_hook_makes_a_proxys_header_idle_and_says_so():
    settings = load_settings(
        {"auth": refuse, "auth_proxy_header": "X-User", "auth_proxy_trusted": ["127.0.0.1"]}, environ={}
    )
    assert any("AUTH (keyword auth) decides alone" in warning for warning in settings.warnings)


def test_a_provider_needs_all_of_its_settings_and_somebody_who_may_come_in():
    url = "https://sso.example.com/.well-known/openid-configuration"
    assert "set without OIDC_CLIENT_ID and OIDC_CLIENT_SECRET" in refuse({"oidc_discovery_url": url})
    three = {"oidc_discovery_url": url, "oidc_client_id": "c", "oidc_client_secret": "hunter2"}
    said = refuse(three)
    assert "nothing says who may come in" in said
    assert "hunter2" not in said
    settings = load_settings({**three, "auth_guest_groups": "*"}, environ={})
    assert settings.dashboard().auth.oidc.client_secret == "hunter2"
    assert "hunter2" not in repr(settings) + repr(settings.dashboard()) + str(list(settings.shown()))
    for wrong in ("http://sso.example.com/.well-known/openid-configuration", "https://sso.example.com", "x"):
        assert "expected an https address" in refuse({**three, "oidc_discovery_url": wrong})
