/* The live tail: asks each second for what it has not got, keeps the newest, and rests while nobody looks. */
(function () {
  "use strict";
  var fmd = (window.fmd = window.fmd || {});
  var clientside = (window.dash_clientside = window.dash_clientside || {});
  var MOST = 200, WINDOW_MS = 90000, PATIENCE_MS = 15000;
  var paused = false, askedAt = 0, newest = 0;

  function grid() {
    try { return window.dash_ag_grid.getApi("live-grid"); } catch (e) { return null; } // not there yet
  }

  function rest() {
    if (document.getElementById("live-pause")) {
      clientside.set_props("live-poll", { disabled: paused || document.hidden });
    }
  }

  clientside.fmd = Object.assign(clientside.fmd || {}, {
    liveAsk: function () {
      var api = grid(), known = [];
      var button = document.getElementById("live-pause");
      if (!api || !button) { return clientside.no_update; }
      if (paused !== (button.getAttribute("aria-pressed") === "true")) { paused = false; } // the page is a new one
      if (paused || document.hidden || (askedAt && Date.now() - askedAt < PATIENCE_MS)) { return clientside.no_update; }
      askedAt = Date.now();
      api.forEachNode(function (node) { newest = Math.max(newest, node.data.ts); });
      api.forEachNode(function (node) { if (newest - node.data.ts < WINDOW_MS * 1000) { known.push(node.data.id); } });
      return { known: known, search: window.location.search, at: askedAt };
    },

    liveTake: function (news) {
      var api = grid(), add = [], all = [];
      askedAt = 0;
      if (!news || !api || news.search !== window.location.search) { return undefined; } // asked with other filters
      say(news.more);
      add = news.rows.filter(function (row) { return !api.getRowNode(row.id); });
      if (!add.length || paused) { return undefined; }
      api.forEachNode(function (node) { all.push(node.data); });
      all = all.concat(add).sort(function (a, b) { return b.ts - a.ts; });
      var gone = all.slice(MOST), goes = {};
      gone.forEach(function (row) { goes[row.id] = true; });
      api.applyTransaction({
        add: add.filter(function (row) { return !goes[row.id]; }),
        remove: gone.filter(function (row) { return api.getRowNode(row.id); }),
      });
      return undefined;
    },
  });

  function say(more) {
    var state = document.getElementById("live-state");
    if (state) {
      state.textContent = paused ? "Paused." : more
        ? "More come in than can be shown: the newest 100 of each second." : "The newest " + MOST + " are kept here; all of them are in Requests.";
    }
  }

  document.addEventListener("click", function (event) {
    var button = event.target.closest ? event.target.closest("#live-pause") : null;
    if (!button) { return; }
    paused = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(paused));
    button.querySelector("#live-pause-text").textContent = paused ? "Go on" : "Pause";
    say(false);
    askedAt = 0;
    rest();
  });

  document.addEventListener("visibilitychange", rest);
})();
