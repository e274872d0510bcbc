/* The address is the state. Everything that changes what is shown changes the address, and Dash follows it. */
(function () {
  "use strict";
  var RANGE = ["from", "to", "tz", "cmp", "base", "refresh", "svc"];
  var fmd = (window.fmd = window.fmd || {});

  fmd.prefix = function () {
    var config = document.getElementById("_dash-config");
    return config ? JSON.parse(config.textContent).requests_pathname_prefix : "/";
  };

  /* Goes to an address of ours without loading the page anew. dcc.Location listens to popstate. */
  fmd.go = function (href) {
    var url = new URL(href, window.location.href);
    if (url.href === window.location.href) { return; }
    var samePage = url.pathname === window.location.pathname;
    window.history.pushState({}, "", url.pathname + url.search + url.hash);
    window.dispatchEvent(new PopStateEvent("popstate"));
    if (!samePage) { window.scrollTo(0, 0); }
  };

  /* Changes parameters of the address: {name: text, or list of texts, or null to leave it out}. */
  fmd.edit = function (changes) {
    var query = new URLSearchParams(window.location.search);
    Object.keys(changes).forEach(function (name) {
      var values = changes[name];
      query.delete(name);
      (Array.isArray(values) ? values : [values]).forEach(function (value) {
        if (value !== null && value !== undefined && value !== "") { query.append(name, value); }
      });
    });
    return window.location.pathname + fmd.search(query);
  };

  fmd.search = function (query) {
    var text = query.toString().replace(/%2F/g, "/").replace(/%3A/g, ":").replace(/%2C/g, ",");
    return text ? "?" + text : "";
  };

  /* A range as moments; wall-clock times take the zone along that they were read in. */
  fmd.range = function (start, end) {
    var changes = { from: start === "now-24h" && end === "now" ? null : start,
      to: start === "now-24h" && end === "now" ? null : end };
    var civil = /^\d{4}-\d{2}-\d{2}(T[\d:.]+)?$/;
    if (civil.test(start) || civil.test(end)) { changes.tz = fmd.zone(); }
    return fmd.edit(changes);
  };

  fmd.zone = function () {
    var note = document.querySelector("#zone-note [data-tz]");
    return new URLSearchParams(window.location.search).get("tz") || (note ? note.dataset.tz : null);
  };

  /* Links of the menu keep range, zone and comparison, whatever they have become since they were drawn. */
  function keepRange(link) {
    var url = new URL(link.href), now = new URLSearchParams(window.location.search);
    RANGE.forEach(function (name) {
      url.searchParams.delete(name);
      now.getAll(name).forEach(function (value) { url.searchParams.append(name, value); });
    });
    link.href = url.pathname + fmd.search(url.searchParams);
  }

  function linkOf(event) {
    return event.target.closest ? event.target.closest("a[href]") : null;
  }

  ["pointerdown", "focusin", "mouseover"].forEach(function (kind) {
    document.addEventListener(kind, function (event) {
      var link = linkOf(event);
      if (!link) { return; }
      if (link.dataset.keep === "range") { keepRange(link); }
      if (link.dataset.export) {
        var query = new URLSearchParams(window.location.search);
        query.set("btz", Intl.DateTimeFormat().resolvedOptions().timeZone || "");
        link.href = link.dataset.export + fmd.search(query);
      }
    }, true);
  });

  document.addEventListener("click", function (event) {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey ||
        event.altKey) { return; }
    var link = linkOf(event);
    if (!link || link.target || link.dataset.export || link.hasAttribute("download") ||
        link.getAttribute("href").charAt(0) === "#") { return; }
    var url = new URL(link.href);
    var prefix = fmd.prefix();
    if (url.origin !== window.location.origin || url.pathname.indexOf(prefix) !== 0 ||
        /^(logout|login|setup|export\/|assets\/)/.test(url.pathname.slice(prefix.length))) { return; }
    event.preventDefault();
    if (link.dataset.keep === "range") { keepRange(link); }
    fmd.go(link.href);
  }, true);

  /* Quick ranges and "since version" buttons. */
  document.addEventListener("click", function (event) {
    var pin = event.target.closest ? event.target.closest("[data-pin]") : null;
    if (pin) { fmd.go(fmd.edit({ cmp: "pin", base: pin.dataset.pin })); return; }
    var button = event.target.closest ? event.target.closest("[data-start]") : null;
    if (!button) { return; }
    fmd.go(fmd.range(button.dataset.start, button.dataset.end));
  });
})();
