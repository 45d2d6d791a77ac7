// The library is loaded before this file and draws the service's own contract.
window.SwaggerUIBundle({ url: '/openapi.json', dom_id: '#contract', deepLinking: true, validatorUrl: null });
