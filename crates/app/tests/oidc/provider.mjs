// A real identity provider (npm oidc-provider) for the tests: client credentials, access tokens as JWTs for a resource, keys that
// can be exchanged while it runs; people who sign in to the console. Prints `PORT n`. Paths under /test/ are the test's own levers.
import { createServer } from "node:http";
import { createPrivateKey, generateKeyPairSync, randomUUID, sign } from "node:crypto";
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
// Another name of this machine makes it another site for browsers.
const host = process.argv[4] ?? "127.0.0.1";
// Where the console is, which people there are, and how ID tokens lie.
const home = process.argv[5] ?? "http://127.0.0.1:1";
const people = { ada: ["staff", "operators"], vera: ["viewers"], rita: ["reviewers"], root: ["admins"], nora: ["staff"], dora: ["scorers"] };
let methods = ["client_secret_basic", "client_secret_post", "none"];
let issuer, handler, signing, spoiled = "", fetched = 0;

/** What somebody is, where providers write it: as here, as Keycloak does for its realm and for a client, as Auth0 does. */
function roles(groups) {
  return { groups, realm_access: { roles: groups }, resource_access: { "my.client": { roles: groups } }, "https://acme.example/roles": groups };
}

function key(name) {
  const [type, options] = kinds[name];
  const jwk = generateKeyPairSync(type, options).privateKey.export({ format: "jwk" });
  return { ...jwk, alg: name, use: "sig", kid: randomUUID() };
}

function renew() {
  signing = key(alg);
  // The provider itself wants RS256 for identity tokens; access tokens are signed with `alg`.
  const keys = alg === "RS256" ? [signing] : [signing, key("RS256")];
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [{
      client_id: "ada.lovelace", client_secret: "secret-of-ada", grant_types: ["client_credentials"], response_types: [], redirect_uris: [],
      token_endpoint_auth_method: "client_secret_post",
    }, ...["", "-post", "-public"].slice(methods.length === 3 ? 0 : 1).map((way) => ({
      client_id: `tendon-console${way}`, client_secret: way === "-public" ? undefined : "secret+of the/console%",
      token_endpoint_auth_method: { "": "client_secret_basic", "-post": "client_secret_post", "-public": "none" }[way],
      redirect_uris: [`${home}/console/oidc/return`], post_logout_redirect_uris: [`${home}/console/sign-in`],
    }))],
    clientAuthMethods: methods,
    pkce: { required: () => true },
    claims: { openid: ["sub"], profile: ["name"], groups: ["groups", "realm_access", "resource_access", "https://acme.example/roles"] },
    conformIdTokenClaims: false,
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: `${id[0].toUpperCase()}${id.slice(1)} <b>Lovelace</b>`, ...roles(people[id] ?? []) }) }),
    scopes: ["leads.score", "leads.read", "nothing"],
    features: {
      // Pages that let in whoever says who they are.
      devInteractions: { enabled: true },
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

/** An ID token as it should not be; signed as it should be, but for two of them. */
function spoil(token) {
  const raw = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const [head, claims] = token.split(".").slice(0, 2).map((part) => JSON.parse(Buffer.from(part, "base64url")));
  let own = createPrivateKey({ key: signing, format: "jwk" });
  const client = claims.aud, now = Math.floor(Date.now() / 1000);
  switch (spoiled) {
    case "none": return `${raw({ ...head, alg: "none" })}.${raw(claims)}.`;
    case "key": own = generateKeyPairSync(...kinds.RS256).privateKey; break;
    case "audience": claims.aud = "another"; break;
    case "audiences": claims.aud = [client, "another"]; break;
    case "azp": claims.azp = "another"; break;
    case "nonce": claims.nonce = "another"; break;
    case "no nonce": delete claims.nonce; break;
    case "issuer": claims.iss = "https://evil.example"; break;
    case "ended": claims.exp = now - 3600; break;
    case "early": claims.iat = now + 3600; break;
    case "no iat": delete claims.iat; break;
    case "no subject": delete claims.sub; break;
    case "access": head.typ = "at+jwt"; break;
    case "both": claims.aud = [client, "another"]; claims.azp = client; break;
  }
  const signed = `${raw(head)}.${raw(claims)}`;
  return `${signed}.${sign("sha256", Buffer.from(signed), own).toString("base64url")}`;
}

/** Spoils the ID token of an answer. */
function lie(response) {
  const end = response.end.bind(response);
  response.end = (body) => {
    const told = JSON.parse(body);
    if (spoiled === "missing") delete told.id_token;
    else if (told.id_token) told.id_token = spoil(told.id_token);
    const text = JSON.stringify(told);
    response.setHeader("content-length", Buffer.byteLength(text));
    return end(text);
  };
}

const server = createServer((request, response) => {
  const [, test, word, value] = request.url.split("/");
  if (test === "test") {
    if (word === "rotate") {
      alg = value ?? alg;
      renew();
    }
    // A provider that takes no secret in a header.
    if (word === "post") {
      methods = methods.slice(1);
      renew();
    }
    if (word === "spoil") spoiled = decodeURIComponent(value ?? "");
    return response.end(String(fetched));
  }
  if (request.url === "/token" && spoiled) lie(response);
  if (request.url === "/jwks") fetched += 1;
  handler(request, response);
});
server.listen(Number(issuerPort ?? 0), "127.0.0.1", () => {
  issuer = `http://${host}:${server.address().port}`;
  renew();
  console.log(`PORT ${server.address().port}`);
});
