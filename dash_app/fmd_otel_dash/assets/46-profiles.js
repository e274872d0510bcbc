/* Cells of the list of profiles. */
(function () {
  "use strict";
  var cells = (window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {});
  var h = function () { return window.React.createElement.apply(null, arguments); };

  /* How long, as a bar against the longest of the page: on the CPU, then waiting. */
  cells.FmdTook = function (props) {
    var row = props.data;
    return h("span", { className: "fmd-took" },
      h("span", { className: "fmd-took-bar", "aria-hidden": true },
        h("span", { className: "fmd-took-cpu", style: { width: row.share * row.cpu * 100 + "%" } }),
        h("span", { className: "fmd-took-wait", style: { width: row.share * (1 - row.cpu) * 100 + "%" } })),
      h("b", null, row.durationText));
  };
})();
