// A real identity provider (npm oidc-provider) for the tests: client credentials, access tokens as JWTs for a resource, keys that
// can be exchanged while it runs. Prints `PORT n`. Paths under /test/ are the test's own levers.
import { createServer } from "node:http";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import Provider from "oidc-provider";

const kinds = {
  RS256: ["rsa", { modulusLength: 2048 }],
  PS256: ["rsa", { modulusLength: 2048 }],
  ES256: ["ec", { namedCurve: "P-256" }],
  ES384: ["ec", { namedCurve: "P-384" }],
  EdDSA: ["ed25519", {}],
};
const issuerPort = process.argv[2];
let alg = process.argv[3] ?? "RS256";
let issuer, handler, fetched = 0;

function key(name) {
  const [type, options] = kinds[name];
  const jwk = generateKeyPairSync(type, options).privateKey.export({ format: "jwk" });
  return { ...jwk, alg: name, use: "sig", kid: randomUUID() };
}

function renew() {
  const signing = key(alg);
  // The provider itself wants RS256 for identity tokens; access tokens are signed with `alg`.
  const keys = alg === "RS256" ? [signing] : [signing, key("RS256")];
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [{
      client_id: "ada.lovelace", client_secret: "secret-of-ada", grant_types: ["client_credentials"], response_types: [], redirect_uris: [],
      token_endpoint_auth_method: "client_secret_post",
    }],
    scopes: ["leads.score", "leads.read", "nothing"],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: "leads.score leads.read nothing", audience: resource.split(":")[1], accessTokenFormat: "jwt",
          accessTokenTTL: resource.endsWith(":short") ? 1 : 600, jwt: { sign: { alg } },
        }),
      },
    },
  });
  provider.on("server_error", (_, error) => console.error(error));
  handler = provider.callback();
}

const server = createServer((request, response) => {
  const [, test, word, value] = request.url.split("/");
  if (test === "test") {
    if (word === "rotate") {
      alg = value ?? alg;
      renew();
    }
    return response.end(String(fetched));
  }
  if (request.url === "/jwks") fetched += 1;
  handler(request, response);
});
server.listen(Number(issuerPort ?? 0), "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  renew();
  console.log(`PORT ${server.address().port}`);
});
