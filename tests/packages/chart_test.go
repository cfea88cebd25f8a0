// The chart, rendered by Helm's own engine: each object is read strictly as its Kubernetes type, what one object says about another
// must be true, and the project it carries is put on disk and checked by the program itself.
package packages

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

const chartFolder = "../../packages/helm/tendon"

// What a release consists of.
type release struct {
	config   *corev1.ConfigMap
	set      *appsv1.StatefulSet
	services []*corev1.Service
	policy   *networkingv1.NetworkPolicy
	budget   *policyv1.PodDisruptionBudget
	kinds    []string
}

func render(t *testing.T, values string) (release, error) {
	t.Helper()
	chart, err := loader.Load(chartFolder)
	if err != nil {
		t.Fatal(err)
	}
	given, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		t.Fatal(err)
	}
	options := chartutil.ReleaseOptions{Name: "sales", Namespace: "crm", Revision: 1, IsInstall: true}
	all, err := chartutil.ToRenderValues(chart, given, options, chartutil.DefaultCapabilities)
	if err != nil {
		return release{}, err
	}
	texts, err := engine.Render(chart, all)
	if err != nil {
		return release{}, err
	}
	var found release
	for name, text := range texts {
		if strings.HasSuffix(name, ".txt") {
			continue
		}
		for _, document := range strings.Split(text, "\n---\n") {
			if err := found.take(document); err != nil {
				t.Fatalf("%s: %v\n%s", name, err, document)
			}
		}
	}
	return found, nil
}

// Reads one object; a field that its type does not have is an error.
func (r *release) take(document string) error {
	var kind v1.TypeMeta
	if err := yaml.Unmarshal([]byte(document), &kind); err != nil {
		return err
	}
	if kind.Kind == "" {
		return nil
	}
	r.kinds = append(r.kinds, kind.Kind)
	into := map[string]any{
		"apps/v1/StatefulSet":                     &r.set,
		"v1/ConfigMap":                            &r.config,
		"v1/ServiceAccount":                       new(corev1.ServiceAccount),
		"networking.k8s.io/v1/NetworkPolicy":      &r.policy,
		"policy/v1/PodDisruptionBudget":           &r.budget,
		"monitoring.coreos.com/v1/ServiceMonitor": new(map[string]any),
	}
	name := kind.APIVersion + "/" + kind.Kind
	if name == "v1/Service" {
		service := new(corev1.Service)
		r.services = append(r.services, service)
		return yaml.UnmarshalStrict([]byte(document), service)
	}
	target, known := into[name]
	if !known {
		return fmt.Errorf("an object of the unknown kind %s", name)
	}
	return yaml.UnmarshalStrict([]byte(document), target)
}

func mustRender(t *testing.T, values string) release {
	t.Helper()
	found, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

const everything = `
image: { repository: registry.example/tendon, tag: 9.9.9, pullSecrets: [{ name: pull }] }
project:
  files:
    tendon.yaml: |
      project: example
    integrations: { lead-score.yaml: "integration: lead-score\n" }
models: { persistentVolumeClaim: { claimName: models } }
secret: tendon-secrets
tls: { secret: tendon-tls }
storage: { size: 100Gi, className: fast }
networkPolicy:
  from: [{ namespaceSelector: { matchLabels: { team: crm } } }]
  egress: [{ to: [{ ipBlock: { cidr: 10.0.0.5/32 } }], ports: [{ port: 5432, protocol: TCP }] }]
monitor: { enabled: true, interval: 30s }
serviceAccount: { annotations: { a: b } }
podAnnotations: { c: d }
nodeSelector: { disk: ssd }
tolerations: [{ key: k, operator: Exists }]
affinity: { nodeAffinity: {} }
`

func TestWhatIsSaidAboutOthersIsTrue(t *testing.T) {
	for name, values := range map[string]string{
		"defaults":    "{}",
		"everything":  everything,
		"own project": `project: { configMap: mine, integrations: [lead-score, churn] }`,
	} {
		t.Run(name, func(t *testing.T) {
			found := mustRender(t, values)
			pod := found.set.Spec.Template
			ofPod := labels.Set(pod.Labels)
			selects := func(what string, selector map[string]string) {
				if len(selector) == 0 || !labels.SelectorFromSet(selector).Matches(ofPod) {
					t.Errorf("%s does not select the pod: %v", what, selector)
				}
			}
			selects("the set", found.set.Spec.Selector.MatchLabels)
			selects("the policy", found.policy.Spec.PodSelector.MatchLabels)
			selects("the budget", found.budget.Spec.Selector.MatchLabels)
			names := map[string]bool{}
			for _, service := range found.services {
				selects("the service", service.Spec.Selector)
				names[service.Name] = true
			}
			if !names[found.set.Spec.ServiceName] {
				t.Errorf("the set's service %s is not there", found.set.Spec.ServiceName)
			}
			if *found.set.Spec.Replicas != 1 {
				t.Errorf("%d processes would write one ledger", *found.set.Spec.Replicas)
			}
			mounts(t, found)
			guarded(t, pod.Spec)
			ports(t, found)
		})
	}
}

// Each mount names a volume, and what comes from the ConfigMap is in it.
func mounts(t *testing.T, found release) {
	volumes := map[string]bool{}
	for _, claim := range found.set.Spec.VolumeClaimTemplates {
		volumes[claim.Name] = true
	}
	for _, volume := range found.set.Spec.Template.Spec.Volumes {
		volumes[volume.Name] = true
		if volume.ConfigMap != nil && found.config != nil {
			if volume.ConfigMap.Name != found.config.Name {
				t.Errorf("the project comes from %s, not from %s", volume.ConfigMap.Name, found.config.Name)
			}
			for _, item := range volume.ConfigMap.Items {
				if _, there := found.config.Data[item.Key]; !there {
					t.Errorf("the ConfigMap holds no %s", item.Key)
				}
			}
			if len(volume.ConfigMap.Items) != len(found.config.Data) {
				t.Errorf("%d of %d files are mounted", len(volume.ConfigMap.Items), len(found.config.Data))
			}
		}
	}
	for _, mount := range found.set.Spec.Template.Spec.Containers[0].VolumeMounts {
		if !volumes[mount.Name] {
			t.Errorf("no volume %s", mount.Name)
		}
		delete(volumes, mount.Name)
	}
	if len(volumes) != 0 {
		t.Errorf("volumes that nobody mounts: %v", volumes)
	}
}

// What the "restricted" pod security standard asks for, and no token of the cluster.
func guarded(t *testing.T, pod corev1.PodSpec) {
	own, whole := pod.Containers[0].SecurityContext, pod.SecurityContext
	if !*whole.RunAsNonRoot || *whole.RunAsUser == 0 || whole.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Error("the pod may be root, or call what it likes")
	}
	if *own.AllowPrivilegeEscalation || !*own.ReadOnlyRootFilesystem || own.Capabilities.Drop[0] != "ALL" || len(own.Capabilities.Add) != 0 {
		t.Error("the container may do more than it needs")
	}
	if *pod.AutomountServiceAccountToken {
		t.Error("the pod holds a token of the cluster")
	}
}

func ports(t *testing.T, found release) {
	container := found.set.Spec.Template.Spec.Containers[0]
	open := map[string]bool{}
	for _, port := range container.Ports {
		open[port.Name] = true
	}
	scheme := corev1.URISchemeHTTP
	for _, volume := range found.set.Spec.Template.Spec.Volumes {
		if volume.Name == "tls" {
			scheme = corev1.URISchemeHTTPS
		}
	}
	for _, probe := range []*corev1.Probe{container.StartupProbe, container.LivenessProbe, container.ReadinessProbe} {
		if !open[probe.HTTPGet.Port.StrVal] || probe.HTTPGet.Scheme != scheme {
			t.Errorf("a probe asks %v by %s", probe.HTTPGet.Port, probe.HTTPGet.Scheme)
		}
	}
	for _, service := range found.services {
		for _, port := range service.Spec.Ports {
			if !open[port.TargetPort.StrVal] {
				t.Errorf("the service %s leads to %v, which is not open", service.Name, port.TargetPort)
			}
		}
	}
	for _, port := range found.policy.Spec.Ingress[0].Ports {
		if !open[port.Port.StrVal] {
			t.Errorf("the policy lets in at %v, which is not open", port.Port)
		}
	}
}

func TestEachObjectCanBeLeftOut(t *testing.T) {
	found := mustRender(t, `{ networkPolicy: { enabled: false }, podDisruptionBudget: { enabled: false } }`)
	if found.policy != nil || found.budget != nil {
		t.Errorf("not left out: %v", found.kinds)
	}
	if got := mustRender(t, everything).kinds; len(got) != 8 {
		t.Errorf("with everything on there are %d objects: %v", len(got), got)
	}
}

func TestWrongValuesAreRefused(t *testing.T) {
	for _, values := range []string{
		`replicas: 3`,
		`podDisruptionBudget: { maxUnavailable: 2 }`,
		`storage: { size: plenty }`,
		`service: { port: 0 }`,
		`project: { files: { integrations: { "Lead Score.yaml": "" } } }`,
		`image: { repository: "" }`,
	} {
		if _, err := render(t, values); err == nil {
			t.Errorf("taken: %s", values)
		}
	}
}

// The project that the chart carries by itself is one that the program runs, at the address the probes ask.
func TestTheProgramTakesTheProject(t *testing.T) {
	program := os.Getenv("TENDON")
	if program == "" {
		t.Fatal("TENDON names no program")
	}
	found := mustRender(t, "{}")
	folder := t.TempDir()
	for _, volume := range found.set.Spec.Template.Spec.Volumes {
		if volume.ConfigMap == nil {
			continue
		}
		for _, item := range volume.ConfigMap.Items {
			path := filepath.Join(folder, item.Path)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(found.config.Data[item.Key]), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	said, err := exec.Command(program, "check", "--project", folder, "--state", t.TempDir()).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if !strings.Contains(found.config.Data["tendon.yaml"], "listen: 0.0.0.0:8400") {
		t.Error("the probes could not reach the process")
	}
}
