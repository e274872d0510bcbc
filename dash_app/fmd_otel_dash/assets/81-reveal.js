/* The tab and the line of the menu of the page at hand are in sight, however far to the right or below they are. */
(function () {
  "use strict";
  function reveal(link) {
    window.requestAnimationFrame(function () { // once everything around it has its size
      var box = link.closest(".fmd-tabs, .fmd-navbar");
      if (!box || !box.clientWidth) { return; }
      var own = link.getBoundingClientRect(), around = box.getBoundingClientRect();
      if (own.left < around.left || own.right > around.right) {
        box.scrollLeft += own.left - around.left - (around.width - own.width) / 2;
      }
      if (box.matches(".fmd-navbar") && box.scrollHeight > box.clientHeight) {
        var below = own.bottom - Math.min(around.bottom, window.innerHeight), above = around.top - own.top;
        if (below > 0) { box.scrollTop += below + own.height; } else if (above > 0) { box.scrollTop -= above + own.height; }
      }
    });
  }

  new MutationObserver(function (changes) {
    changes.forEach(function (change) {
      change.addedNodes.forEach(function (node) {
        if (node.nodeType !== 1) { return; }
        if (node.matches("a[aria-current=page]")) { reveal(node); }
        node.querySelectorAll("a[aria-current=page]").forEach(reveal);
      });
      if (change.type === "attributes" && change.target.getAttribute("aria-current") === "page") { reveal(change.target); }
    });
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["aria-current"] });

  window.addEventListener("resize", function () {
    document.querySelectorAll("a[aria-current=page]").forEach(reveal);
  });
})();
