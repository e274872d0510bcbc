/* What is asked again and again is not asked while nobody is looking. */
(function () {
  "use strict";
  document.addEventListener("visibilitychange", function () {
    var polls = { "health-mark": "health-poll", "storage-jobs-body": "storage-job-poll" };
    Object.keys(polls).forEach(function (shown) {
      if (document.getElementById(shown)) {
        window.dash_clientside.set_props(polls[shown], { disabled: document.hidden });
      }
    });
  });
})();
