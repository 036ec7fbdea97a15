// Shows the API's description. Who is signed in by a session sends the token that the last answer carried.
"use strict";

const docs = document.getElementById("docs");
let token = "";

SwaggerUIBundle({
  url: docs.dataset.description,
  domNode: docs,
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  persistAuthorization: false,
  requestInterceptor: (request) => {
    if (token && request.method && request.method.toUpperCase() !== "GET") {
      request.headers["X-Harbor-CSRF-Token"] = token;
    }
    return request;
  },
  responseInterceptor: (response) => {
    token = (response.headers && response.headers["x-harbor-csrf-token"]) || token;
    return response;
  },
});
