/* The link to what is shown: as the address says it, or with the moments that the server made of it. */
(function () {
  "use strict";
  var fmd = window.fmd;

  /* The range that is shown, in its zone, whatever day it is opened on; there is nothing in it to refresh. */
  fmd.frozen = function () {
    var note = document.querySelector("#zone-note [data-from]");
    if (!note) { return window.location.href; } // nothing is shown yet
    var range = note.dataset;
    return window.location.origin + fmd.edit({ from: range.from, to: range.to, tz: range.tz, refresh: null }) + window.location.hash;
  };

  fmd.share = function (way) {
    if (way === "frozen") { fmd.copy(fmd.frozen(), "Link copied: it shows these very moments"); }
    else { fmd.copy(window.location.href, "Link copied"); }
    return true;
  };

  document.addEventListener("click", function (event) {
    var button = event.target.closest ? event.target.closest("[data-share]") : null;
    if (!button) { return; }
    fmd.share(button.dataset.share);
    button.closest("details").open = false;
  });
})();
