// A receiver of telemetry that is not ours: the OpenTelemetry Collector's own service, OTLP receiver and data model, as the project
// publishes them, with one exporter that prints what arrived: one line of OTLP JSON for each request. The collector decodes and
// validates; nothing of Tendon is in it.
//
// Usage: collector --config FILE
package main

import (
	"context"
	"log"
	"os"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

func main() {
	resolver := confmap.ResolverSettings{
		DefaultScheme:     "file",
		ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()},
	}
	settings := otelcol.CollectorSettings{
		BuildInfo:              component.BuildInfo{Command: "collector", Version: "test"},
		Factories:              factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: resolver},
	}
	if err := otelcol.NewCommand(settings).Execute(); err != nil {
		log.Fatal(err)
	}
}

func factories() (otelcol.Factories, error) {
	all := otelcol.Factories{Telemetry: otelconftelemetry.NewFactory()}
	var err error
	if all.Receivers, err = otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory()); err != nil {
		return all, err
	}
	all.Exporters, err = otelcol.MakeFactoryMap[exporter.Factory](printing())
	return all, err
}

type printer struct {
	component.StartFunc
	component.ShutdownFunc
}

var lock sync.Mutex

func print(bytes []byte, err error) error {
	if err != nil {
		return err
	}
	lock.Lock()
	defer lock.Unlock()
	_, err = os.Stdout.Write(append(bytes, '\n'))
	return err
}

func (printer) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (printer) ConsumeTraces(_ context.Context, traces ptrace.Traces) error {
	return print((&ptrace.JSONMarshaler{}).MarshalTraces(traces))
}

func (printer) ConsumeMetrics(_ context.Context, metrics pmetric.Metrics) error {
	return print((&pmetric.JSONMarshaler{}).MarshalMetrics(metrics))
}

func printing() exporter.Factory {
	return exporter.NewFactory(
		component.MustNewType("print"),
		func() component.Config { return &struct{}{} },
		exporter.WithTraces(func(context.Context, exporter.Settings, component.Config) (exporter.Traces, error) {
			return printer{}, nil
		}, component.StabilityLevelStable),
		exporter.WithMetrics(func(context.Context, exporter.Settings, component.Config) (exporter.Metrics, error) {
			return printer{}, nil
		}, component.StabilityLevelStable),
	)
}
