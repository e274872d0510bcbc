/* What the frame does in the browser: Dash's client-side callbacks, and the small things around them. */
(function () {
  "use strict";
  var fmd = (window.fmd = window.fmd || {});
  var clientside = (window.dash_clientside = window.dash_clientside || {});
  var REFRESH_MS = { "10s": 10000, "1m": 60000, "5m": 300000 };
  var readAt = 0, asked = null;

  function grid() {
    try { return window.dash_ag_grid.getApi("endpoints-grid"); } catch (e) { return null; } // not there yet
  }

  function unchanged(n) {
    var list = [];
    for (var i = 0; i < n; i++) { list.push(clientside.no_update); }
    return list;
  }

  function param(search, name, otherwise) {
    return new URLSearchParams(search || "").get(name) || otherwise;
  }

  clientside.fmd = {
    /* Address, timer and refresh button to the view; to the route instead where another page is wanted. */
    follow: function (pathname, search, _ticks, _clicks, view) {
      var by = clientside.callback_context.triggered_id;
      var again = by === "tick" || by === "refresh";
      if (by === "tick" && document.hidden) { return unchanged(2); }
      var next = {
        path: pathname || "/",
        search: search || "",
        tz: Intl.DateTimeFormat().resolvedOptions().timeZone || "",
        serial: ((view && view.serial) || 0) + (again ? 1 : 0),
      };
      // What was asked for last counts, not what is shown: a page may still be on its way.
      if (!view || view.path !== next.path || asked !== next.path) {
        asked = next.path;
        return [clientside.no_update, next];
      }
      if (!again && view.search === next.search) { return unchanged(2); }
      return [next, clientside.no_update];
    },

    /* The view to the controls that stand for it. */
    mirror: function (view) {
      if (!view) { return unchanged(5); }
      readAt = Date.now();
      closeMenus(null);
      var refresh = param(view.search, "refresh", "off");
      var relative = param(view.search, "to", "now").indexOf("now") === 0;
      var every = REFRESH_MS[refresh];
      return [every ? refresh : "off", param(view.search, "cmp", "prev"), param(view.search, "tz", null),
        every || 60000, !(every && relative)];
    },

    /* Controls that stand for a parameter of the address. */
    filter: function () {
      var triggered = clientside.callback_context.triggered || [];
      var changes = {};
      triggered.forEach(function (one) {
        var id = JSON.parse(one.prop_id.slice(0, one.prop_id.lastIndexOf(".")));
        var usual = { refresh: "off", cmp: "prev" }[id.param];
        changes[id.param] = one.value === usual ? null : one.value;
      });
      var next = fmd.edit(changes);
      if (next !== fmd.edit({})) { fmd.go(next); }
      return undefined;
    },

    /* Dragging over a time axis. */
    zoom: function () {
      var triggered = clientside.callback_context.triggered || [];
      triggered.forEach(function (one) {
        var moved = one.value || {};
        var start = moved["xaxis.range[0]"], end = moved["xaxis.range[1]"];
        if (typeof start !== "string" || typeof end !== "string") { return; }
        if (!document.querySelector(".fmd-graph-time")) { return; }
        // Where the clocks go back within the range, the axis keeps one offset and says which.
        var id = one.prop_id.slice(0, one.prop_id.lastIndexOf("."));
        var plot = document.getElementById(id) && document.getElementById(id).querySelector(".js-plotly-plot");
        var offset = (plot && plot.layout && plot.layout.meta && plot.layout.meta.offset) || "";
        fmd.go(fmd.range(civil(start) + offset, civil(end) + offset));
      });
      return undefined;
    },

    pickDays: function (days) {
      if (days && days[0] && days[1]) {
        clientside.set_props("calendar", { value: [null, null] });
        fmd.go(fmd.range(days[0].slice(0, 10), days[1].slice(0, 10)));
      }
      return undefined;
    },

    title: function (title) {
      if (title) { document.title = title; }
      clientside.set_props("burger", { opened: false });
      return undefined;
    },

    burger: function (opened, navbar) {
      return Object.assign({}, navbar, { collapsed: { mobile: !opened } });
    },

    /* What the server says the level is now. */
    levelConfirmed: function (confirmed) {
      if (!confirmed) { return undefined; }
      var api = grid();
      var node = api && api.getRowNode(String(confirmed.id));
      if (node && node.data.level !== confirmed.level) { node.setDataValue("level", confirmed.level); }
      return undefined;
    },
  };

  /* "2026-11-01 13:04:05.12" as a moment of the address: whole seconds are enough. */
  function civil(text) {
    var parts = text.replace("T", " ").split(" ");
    var clock = (parts[1] || "00:00:00").split(".")[0];
    return parts[0] + "T" + (clock.length === 5 ? clock + ":00" : clock);
  }

  fmd.copy = function (text, said) {
    function done() { clientside.set_props("notice", { children: said }); }
    if (navigator.clipboard && window.isSecureContext) {
      navigator.clipboard.writeText(text).then(done);
      return;
    }
    var field = document.createElement("textarea"); // plain http has no clipboard
    field.value = text;
    document.body.appendChild(field);
    field.select();
    document.execCommand("copy");
    field.remove();
    done();
  };

  document.addEventListener("click", function (event) {
    var target = event.target.closest ? event.target : event.target.parentElement;
    var copy = target.closest("[data-copy]");
    if (copy) { fmd.copy(copy.dataset.copy, "Copied"); }
    var retry = target.closest(".fmd-retry");
    if (retry && retry.dataset.card) { clientside.set_props(retry.dataset.card + "-retry", { data: Date.now() }); }
    if (retry && !retry.dataset.card) { window.location.reload(); } // the page itself had failed
    if (target.closest("#help-open")) { clientside.set_props("help", { opened: true }); }
    var send = target.closest("[data-send]"); // to a store, whose callback does the rest
    if (send && (!send.dataset.confirm || window.confirm(send.dataset.confirm))) {
      var data = Object.assign({ at: Date.now() }, JSON.parse(send.dataset.send));
      clientside.set_props(send.dataset.store, { data: data });
    }
  });

  /* What drops down from the header: one at a time, closed by Escape, by a click elsewhere and by another view. */
  function closeMenus(except) {
    document.querySelectorAll("details.fmd-menu[open]").forEach(function (menu) {
      if (menu !== except) { menu.open = false; }
    });
  }

  document.addEventListener("toggle", function (event) {
    if (!event.target.matches || !event.target.matches("details.fmd-menu") || !event.target.open) { return; }
    closeMenus(event.target);
    var field = event.target.querySelector("#range-text");
    if (field) { field.focus(); }
  }, true);

  document.addEventListener("pointerdown", function (event) {
    closeMenus(event.target.closest ? event.target.closest("details.fmd-menu") : null);
  });

  document.addEventListener("keydown", function (event) {
    var open = event.key === "Escape" && document.querySelector("details.fmd-menu[open]");
    if (open) {
      open.open = false;
      open.querySelector("summary").focus();
    }
  });

  /* The text filter of a table: at once, and kept in the address without a step in the history. */
  document.addEventListener("input", function (event) {
    var field = event.target.closest ? event.target.closest("[data-filter], [data-filter] input") : null;
    if (!field) { return; }
    window.history.replaceState({}, "", fmd.edit({ q: field.value }));
    applyFilter();
  });

  function applyFilter() {
    var field = document.querySelector("input[data-filter], [data-filter] input");
    var api = grid();
    if (field && api) { api.setGridOption("quickFilterText", field.value); }
  }
  (window.dashAgGridFunctions = window.dashAgGridFunctions || {}).fmdFilter = applyFilter;

  /* A page that waits for data looks again every few seconds, unless nobody is watching; and once more when it has
     found some: cards that were answered a moment before the others have none yet. */
  var waited = "";
  window.setInterval(function () {
    if (document.hidden) { return; }
    var here = window.location.pathname, waits = document.querySelector("[data-waiting]");
    var button = document.getElementById("refresh");
    if (button && (waits || waited === here)) { button.click(); }
    waited = waits ? here : "";
  }, 3000);

  window.setInterval(function () {
    var label = document.getElementById("updated");
    if (!label || !readAt) { return; }
    var seconds = Math.round((Date.now() - readAt) / 1000);
    var text = seconds < 10 ? "" : seconds < 60 ? seconds + " s ago" : Math.floor(seconds / 60) + " min ago";
    if (label.textContent !== text) { label.textContent = text; }
  }, 1000);

  /* A notice goes away by itself. */
  var fade = 0;
  new MutationObserver(function (changes) {
    var notice = document.getElementById("notice");
    if (!notice || !changes.some(function (change) { return notice.contains(change.target); })) { return; }
    window.clearTimeout(fade);
    if (notice.textContent) {
      fade = window.setTimeout(function () { clientside.set_props("notice", { children: "" }); }, 8000);
    }
  }).observe(document.documentElement, { childList: true, subtree: true, characterData: true });

  /* The data grid takes its colours by an attribute of its own. */
  function gridScheme() {
    document.body.dataset.agThemeMode = document.documentElement.getAttribute("data-mantine-color-scheme") || "light";
  }
  new MutationObserver(gridScheme).observe(document.documentElement, { attributeFilter: ["data-mantine-color-scheme"] });
  if (document.body) { gridScheme(); } else { document.addEventListener("DOMContentLoaded", gridScheme); }

  /* A session that has ended: to the sign-in page, and back here afterwards. */
  var fetchAnything = window.fetch, leaving = false;
  window.fetch = function () {
    return fetchAnything.apply(this, arguments).then(function (answer) {
      if (answer.url.indexOf("/_dash-") < 0) { return answer; }
      if (answer.status >= 500) { stale("The dashboard has a problem (" + answer.status + ")."); }
      if (answer.status !== 401) { return answer; }
      if (!leaving) { // once: each card hears the same
        leaving = true;
        var here = window.location.pathname.slice(fmd.prefix().length - 1) + window.location.search;
        window.location.assign(fmd.prefix() + "login?next=" + encodeURIComponent(here));
      }
      return new Promise(function () { /* the page is on its way out: nobody needs an answer */ });
    }, function (error) {
      stale("The dashboard cannot be reached.");
      throw error;
    });
  };

  function stale(why) {
    clientside.set_props("notice", { children: why + " What you see may be out of date." });
  }
})();
