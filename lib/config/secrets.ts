/** All secrets of a configuration, of whatever section. */
import { clientAuthSecrets } from "../auth/config.ts";
import { credentialsSecrets } from "../credentials/config.ts";
import type { NamedSecret } from "../schema/secret.ts";
import type { Config } from "./config.ts";

export function secretsOf(config: Config): NamedSecret[] {
  const { clientAuth, httpProxy, listen, privateSumDatabase } = config;
  const single = [
    { path: ["httpProxy", "password"], secret: httpProxy.password },
    { path: ["listen", "tls", "privateKey"], secret: listen.tls?.privateKey },
    { path: ["privateSumDatabase", "privateKey"], secret: privateSumDatabase?.privateKey },
  ].flatMap(({ path, secret }) => secret === undefined ? [] : [{ path, secret }]);
  return [
    ...single,
    ...credentialsSecrets(config),
    ...(clientAuth.enabled ? clientAuthSecrets(clientAuth) : []),
  ];
}
