/**
 * What deploy/ says about running in Kubernetes and on Cloud Run, as far as it can be checked
 * without either: the manifests have the shape that the Kubernetes API describes, down to misspelt
 * fields, the configuration inside loads, and ports, paths, flags and times are those of the server
 * and its image.
 */
import assert from "node:assert/strict";
import { Deployment } from "kubernetes-models/apps/v1/Deployment";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1/NetworkPolicy";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { Namespace } from "kubernetes-models/v1/Namespace";
import { Service } from "kubernetes-models/v1/Service";
import { ServiceAccount } from "kubernetes-models/v1/ServiceAccount";
import { parse } from "yaml";
import { z } from "zod";
import deno from "../deno.json" with { type: "json" };
import { SHUTDOWN_TIMEOUT_MS } from "../server/listen.ts";
import { parseConfig } from "../lib/config/config.ts";
import { exposureFaults } from "../lib/config/exposure.ts";
import { healthRoutes } from "../routes/health.ts";
import { runProgram } from "./worlds/server.ts";
import { runCommand } from "./support/run_command.ts";

const DEPLOY = new URL("../deploy", import.meta.url).pathname;
const KUBERNETES = `${DEPLOY}/kubernetes`;
const DOCKERFILE = await Deno.readTextFile(new URL("../Dockerfile", import.meta.url));

const MODELS = {
  Deployment: { model: Deployment, module: "apps/v1" },
  NetworkPolicy: { model: NetworkPolicy, module: "networking.k8s.io/v1" },
  PodDisruptionBudget: { model: PodDisruptionBudget, module: "policy/v1" },
  Namespace: { model: Namespace, module: "v1" },
  Service: { model: Service, module: "v1" },
  ServiceAccount: { model: ServiceAccount, module: "v1" },
};

const Kustomization = z.strictObject({
  apiVersion: z.literal("kustomize.config.k8s.io/v1beta1"),
  kind: z.literal("Kustomization"),
  namespace: z.literal("go-mod-proxy"),
  resources: z.array(z.string()),
  configMapGenerator: z.tuple([z.strictObject({ name: z.string(), files: z.array(z.string()) })]),
  images: z.tuple([
    z.strictObject({ name: z.string(), newName: z.string(), newTag: z.string() }),
  ]),
});

/** The parts of a container that the tests below read. The models check the rest. */
const Probe = z.object({
  httpGet: z.object({ path: z.string(), port: z.union([z.string(), z.number()]) }),
});
const Container = z.object({
  image: z.string(),
  args: z.array(z.string()),
  ports: z.tuple([z.object({ name: z.string(), containerPort: z.number() })]),
  startupProbe: Probe,
  livenessProbe: Probe,
  readinessProbe: Probe.optional(),
  volumeMounts: z.array(z.object({ name: z.string(), mountPath: z.string() })),
});
const Pod = z.object({
  containers: z.tuple([Container]),
  volumes: z.array(z.object({
    name: z.string(),
    emptyDir: z.object({ sizeLimit: z.templateLiteral([z.number(), "Gi"]) }).optional(),
  })),
});

const Limits = z.object({ limits: z.record(z.string(), z.string()) });

/** What of a pod's specification grants and limits. */
const Rights = z.object({
  automountServiceAccountToken: z.boolean(),
  securityContext: z.unknown(),
  containers: z.tuple([z.object({
    securityContext: z.unknown(),
    resources: Limits,
    volumeMounts: z.array(z.object({ name: z.string(), readOnly: z.boolean().optional() })),
  })]),
});

/** The user and the group of the image. */
const IMAGE_USER = Number(/^USER (\d+):\1$/m.exec(DOCKERFILE)?.[1]);

async function read(file: string): Promise<unknown> {
  return parse(await Deno.readTextFile(file));
}

const kustomization = Kustomization.parse(await read(`${KUBERNETES}/kustomization.yaml`));
const deployment = z.object({
  spec: z.object({
    selector: z.object({ matchLabels: z.record(z.string(), z.string()) }),
    template: z.object({
      metadata: z.object({ labels: z.record(z.string(), z.string()) }),
      spec: Pod.extend({
        terminationGracePeriodSeconds: z.number(),
        serviceAccountName: z.string(),
      }),
    }),
  }),
}).parse(await read(`${KUBERNETES}/deployment.yaml`)).spec;
const pod = deployment.template.spec;
const cloudRun = z.object({ spec: z.object({ template: z.object({ spec: Pod }) }) })
  .parse(await read(`${DEPLOY}/cloudrun/service.yaml`)).spec.template.spec;

Deno.test("the kustomization names every file of its folder", async () => {
  const files = (await Array.fromAsync(Deno.readDir(KUBERNETES))).map(({ name }) => name).sort();
  const named = [
    ...kustomization.resources,
    ...kustomization.configMapGenerator[0].files,
    "kustomization.yaml",
  ];
  assert.deepEqual(files, named.sort());
  assert.equal(kustomization.images[0].newTag, deno.version);
  assert.equal(kustomization.images[0].name, pod.containers[0].image);
});

Deno.test("the manifests have the shape of the Kubernetes API", async (t) => {
  const lines: string[] = [];
  for (const file of kustomization.resources) {
    const manifest = await read(`${KUBERNETES}/${file}`);
    const { kind, apiVersion } = z.object({
      kind: z.enum(Object.keys(MODELS) as (keyof typeof MODELS)[]),
      apiVersion: z.string(),
    }).parse(manifest);
    const { model, module } = MODELS[kind];
    await t.step(file, () => {
      assert.equal(apiVersion, module);
      new model(manifest as never).validate();
    });
    lines.push(typed({ kind, module, manifest }));
  }
  // The models accept unknown fields; the compiler rejects them in a literal.
  await t.step("no field is misspelt", async () => {
    const { code, stderr } = await check(lines.join("\n"));
    assert.equal(code, 0, stderr);
  });
  await t.step("a misspelt field would be found", async () => {
    const { code, stderr } = await check(
      lines.join("\n").replace("maxUnavailable", "maxUnavailible"),
    );
    assert.equal(code, 1);
    assert.match(stderr, /maxUnavailible/);
  });
});

/** By its full name: the file that imports it is in none of the folders of deno.json's scopes. */
const MODELS_PACKAGE = deno.scopes["./"]["kubernetes-models"];

function typed(
  { kind, module, manifest }: { kind: string; module: string; manifest: unknown },
): string {
  const type = `import("${MODELS_PACKAGE}/${module}/${kind}").I${kind}`;
  return `(${JSON.stringify(manifest)}) satisfies ${type};`;
}

async function check(code: string): Promise<{ code: number; stderr: string }> {
  const directory = await Deno.makeTempDir({ prefix: "manifests-" });
  try {
    await Deno.writeTextFile(`${directory}/manifests.ts`, code);
    const config = new URL("../deno.json", import.meta.url).pathname;
    const lock = new URL("../dev.lock", import.meta.url).pathname;
    return await runCommand(Deno.execPath(), {
      args: ["check", "--quiet", "--config", config, "--lock", lock, `${directory}/manifests.ts`],
      env: { NO_COLOR: "1" },
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

Deno.test("labels select the pods that the deployment makes", async () => {
  const labels = deployment.template.metadata.labels;
  assert.deepEqual(deployment.selector.matchLabels, labels);
  for (const file of ["service", "pod_disruption_budget", "network_policy"]) {
    const { spec } = z.object({ spec: z.record(z.string(), z.unknown()) })
      .parse(await read(`${KUBERNETES}/${file}.yaml`));
    const selector = spec["podSelector"] ?? spec["selector"];
    const selected = file === "service" ? selector : z.object({ matchLabels: z.unknown() })
      .parse(selector).matchLabels;
    assert.deepEqual(selected, labels, file);
  }
});

for (
  const { place, containers: [container], volumes, config: file } of [
    { place: "Kubernetes", ...pod, config: `${KUBERNETES}/config.yaml` },
    { place: "Cloud Run", ...cloudRun, config: `${DEPLOY}/cloudrun/config.yaml` },
  ]
) {
  Deno.test(`${place}: ports and paths are the server's and the image's`, () => {
    const [port] = container.ports;
    assert.match(DOCKERFILE, new RegExp(`^EXPOSE ${port.containerPort}$`, "m"));
    const routes = healthRoutes({ checkStore: () => Promise.resolve(), isStopping: () => false });
    const { startupProbe, livenessProbe, readinessProbe } = container;
    for (const probe of [startupProbe, livenessProbe, readinessProbe ?? startupProbe]) {
      const { path, port: asked } = probe.httpGet;
      assert.ok(routes.some((route) => route.matches(path.slice(1))), path);
      assert.ok(asked === port.name || asked === port.containerPort);
    }
    assert.equal(livenessProbe.httpGet.path, "/healthz");
    const names = volumes.map(({ name }) => name).sort();
    assert.deepEqual(container.volumeMounts.map(({ name }) => name).sort(), names);
    assert.ok(
      container.volumeMounts.some(({ mountPath }) => mountPath === "/var/cache/go-mod-proxy"),
    );
    assert.match(DOCKERFILE, /^VOLUME .*"\/var\/cache\/go-mod-proxy"/m);
  });

  Deno.test(`${place}: the program takes the arguments`, async () => {
    const { code, stdout } = await runProgram([...container.args, "--help"]);
    assert.equal(code, 0);
    assert.match(stdout, /^Usage: go-mod-proxy serve/);
    const { code: wrong } = await runProgram([...container.args, "--hots", "0.0.0.0"]);
    assert.notEqual(wrong, 0);
  });

  Deno.test(`${place}: the configuration loads, and fits the volumes`, async () => {
    const config = parseConfig(await Deno.readTextFile(file));
    assert.ok(!("disk" in config.storage), "replicas have no disk in common");
    assert.ok(config.clientAuth.enabled);
    const host = container.args[container.args.indexOf("--host") + 1] ?? "";
    assert.deepEqual(exposureFaults(config, host), []);
    assert.equal(config.listen.insecure, false);
    const mounted = container.volumeMounts.map(({ mountPath }) => mountPath);
    assert.ok(mounted.includes(container.args.at(-1)?.replace(/\/config\.yaml$/, "") ?? ""));
    for (const { privateKey } of config.gitHub.flatMap(({ gitHubApps }) => gitHubApps)) {
      assert.ok(typeof privateKey === "object" && "file" in privateKey);
      assert.ok(mounted.includes(privateKey.file.replace(/\/[^/]+$/, "")), privateKey.file);
    }
    const scratch = volumes.find(({ name }) => name === "scratch")?.emptyDir?.sizeLimit ?? "0Gi";
    const { gitMirrors, limits, privateModules } = config;
    const mirrorsMiB = (1 + privateModules.length) * gitMirrors.maxSizeMiB;
    const neededGiB = (mirrorsMiB + limits.scratchMaxMiB) / 1024;
    assert.ok(Number.parseInt(scratch) > neededGiB, `${neededGiB} GiB in a volume of ${scratch}`);
  });
}

Deno.test("Kubernetes: the pod has no more rights than it needs", async () => {
  const template = z.object({ spec: z.object({ template: z.object({ spec: Rights }) }) })
    .parse(await read(`${KUBERNETES}/deployment.yaml`)).spec.template.spec;
  assert.equal(template.automountServiceAccountToken, false);
  assert.deepEqual(template.securityContext, {
    runAsNonRoot: true,
    runAsUser: IMAGE_USER,
    runAsGroup: IMAGE_USER,
    fsGroup: IMAGE_USER,
    seccompProfile: { type: "RuntimeDefault" },
  });
  const [{ securityContext, resources, volumeMounts }] = template.containers;
  assert.deepEqual(securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  });
  // A git that takes all memory ends with its container and not with the machine.
  assert.deepEqual(Object.keys(resources.limits).sort(), ["ephemeral-storage", "memory"]);
  // Only the scratch directory can be written to.
  const writable = volumeMounts.filter(({ readOnly }) => readOnly !== true);
  assert.deepEqual(writable.map(({ name }) => name), ["scratch"]);
  const { metadata } = z.object({
    metadata: z.object({ labels: z.record(z.string(), z.string()) }),
  }).parse(await read(`${KUBERNETES}/namespace.yaml`));
  assert.equal(metadata.labels["pod-security.kubernetes.io/enforce"], "restricted");
});

Deno.test("Kubernetes: the pods' connections are limited in both directions", async () => {
  const { spec } = z.object({
    spec: z.object({
      policyTypes: z.array(z.string()),
      ingress: z.array(z.object({
        ports: z.array(z.object({ port: z.union([z.string(), z.number()]) })),
      })),
      egress: z.array(z.object({
        to: z.array(z.object({ ipBlock: z.object({ cidr: z.string() }) })).optional(),
        ports: z.array(z.object({ port: z.number() })),
      })),
    }),
  }).parse(await read(`${KUBERNETES}/network_policy.yaml`));
  assert.deepEqual(spec.policyTypes, ["Ingress", "Egress"]);
  const [port] = pod.containers[0].ports;
  assert.deepEqual(spec.ingress.flatMap(({ ports }) => ports.map((to) => to.port)), [port.name]);
  // To any address: names and https. Plain http goes to the addresses of metadata servers alone.
  const anywhere = spec.egress.filter(({ to }) => to === undefined);
  const open = new Set(anywhere.flatMap(({ ports }) => ports.map((to) => to.port)));
  assert.deepEqual(open, new Set([53, 443]));
  for (const { to = [] } of spec.egress) {
    for (const { ipBlock } of to) assert.match(ipBlock.cidr, /^169\.254\.\d+\.\d+\/32$/);
  }
});

Deno.test("Cloud Run: the instance has an account of its own, and limits", async () => {
  const { metadata, spec } = z.object({
    metadata: z.object({ annotations: z.record(z.string(), z.string()) }),
    spec: z.object({
      template: z.object({
        spec: z.object({
          serviceAccountName: z.string(),
          containers: z.tuple([z.object({ resources: Limits })]),
        }),
      }),
    }),
  }).parse(await read(`${DEPLOY}/cloudrun/service.yaml`));
  assert.match(metadata.annotations["run.googleapis.com/ingress"] ?? "", /^internal/);
  const { serviceAccountName, containers: [{ resources }] } = spec.template.spec;
  assert.match(serviceAccountName, /^go-mod-proxy@/);
  assert.deepEqual(Object.keys(resources.limits).sort(), ["cpu", "memory"]);
});

Deno.test("Kubernetes waits for the server's end", () => {
  const PRE_STOP_SECONDS = 5;
  assert.ok(pod.terminationGracePeriodSeconds > PRE_STOP_SECONDS + SHUTDOWN_TIMEOUT_MS / 1000);
});
