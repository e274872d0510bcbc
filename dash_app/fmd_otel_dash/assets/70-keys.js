/* Keyboard: what the help sheet lists. Nothing fires while somebody types, and nothing with Ctrl, Alt or Meta. */
(function () {
  "use strict";
  var fmd = window.fmd;
  var PATIENCE_MS = 1500;
  var awaiting = "", since = 0;

  function typing(target) {
    return target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName);
  }

  function click(id) {
    var element = document.getElementById(id);
    if (element) { element.click(); }
    return Boolean(element);
  }

  /* Waits for the second key, if there is anywhere to go. */
  function wait(first) {
    return function () {
      awaiting = first;
      since = performance.now();
      return true;
    };
  }

  function goTo(first, letter) {
    var key = (first === "e" ? "e " : "") + letter.replace(/["\\]/g, "");
    var link = document.querySelector('.fmd-nav a[data-key="' + key + '"], .fmd-user-menu a[data-key="' + key + '"]');
    if (link) { link.click(); }
    return Boolean(link);
  }

  /* What opens and closes: the lines of a profile, the calls of a stack, the steps of a request. */
  function unfold(open) {
    var page = document.getElementById("page");
    var action = page && Array.prototype.find.call(page.querySelectorAll("button"), function (button) {
      return button.textContent === (open ? "Expand all" : "Collapse all") && button.offsetParent;
    });
    if (action) { action.click(); return true; }
    var parts = page ? page.querySelectorAll("details.fmd-frame, details.fmd-frame-library, .fmd-waterfall details") : [];
    Array.prototype.forEach.call(parts, function (part) { part.open = open; });
    return parts.length > 0 || click(open ? "range-forward" : "range-back");
  }

  var actions = {
    "/": function () {
      var field = document.querySelector("[data-filter]");
      if (!field) { return false; }
      field = field.matches("input") ? field : field.querySelector("input");
      field.focus();
      field.select();
      return true;
    },
    "?": function () { window.dash_clientside.set_props("help", { opened: true }); return true; },
    t: function () { return click("range-button"); },
    z: function () { return click("range-out"); },
    r: function () { return click("refresh"); },
    d: function () { return click("scheme"); },
    p: function () { return click("live-pause"); },
    j: function () { return fmd.walk(1); },
    k: function () { return fmd.walk(-1); },
    "[": function () { return unfold(false); },
    "]": function () { return unfold(true); },
    ".": function () { return fmd.share("relative"); },
    ">": function () { return fmd.share("frozen"); },
    "shift+.": function () { return fmd.share("frozen"); }, // where that key is another sign
    g: wait("g"),
    e: wait("e"),
    "shift+ArrowLeft": function () { return click("range-back"); },
    "shift+ArrowRight": function () { return click("range-forward"); },
  };

  function named(event) {
    if (event.shiftKey && event.key.length > 1) { return "shift+" + event.key; }
    return event.shiftKey && event.code === "Period" ? "shift+." : event.key;
  }

  document.addEventListener("keydown", function (event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) { return; }
    if (event.target.id === "range-text" && !event.target.value && /^Arrow(Left|Right)$/.test(event.key)) {
      click(event.key === "ArrowLeft" ? "range-back" : "range-forward"); // t, then an arrow
      event.preventDefault();
      return;
    }
    if (typing(event.target)) { return; }
    // When it was pressed counts: a page that is being drawn hears of it late.
    if (awaiting && event.timeStamp - since < PATIENCE_MS) {
      var first = awaiting;
      awaiting = "";
      if (goTo(first, event.key)) { event.preventDefault(); return; }
    }
    var name = named(event);
    if (Object.prototype.hasOwnProperty.call(actions, name) && actions[name]()) { event.preventDefault(); }
  });
})();
