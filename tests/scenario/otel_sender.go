// SPDX-License-Identifier: Apache-2.0

// Sends with OpenTelemetry's own SDK for Go: built and run by test_otlp_go.py where that is there.
//
//	otel_sender (grpc|http|zipkin) HOST:PORT (traces|early|sampled) [gzip]
//
// traces sends a trace of 22 spans; early a span of now and one of the week after next; sampled asks the sampling
// endpoint for its strategy and tells how many of 1000 spans it took. Prints a line of JSON with
// what was sent and what the SDK said about it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"time"

	"go.opentelemetry.io/contrib/samplers/jaegerremote"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/zipkin"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

var (
	lock sync.Mutex
	said = []string{}
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func exporter(ctx context.Context, protocol, endpoint string, compressed bool) sdk.SpanExporter {
	var made *otlptrace.Exporter
	var err error
	switch {
	case protocol == "zipkin":
		zip, err := zipkin.New("http://" + endpoint + "/api/v2/spans")
		must(err)
		return zip
	case protocol == "grpc" && compressed:
		made, err = otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(endpoint),
			otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor("gzip"))
	case protocol == "grpc":
		made, err = otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(endpoint),
			otlptracegrpc.WithInsecure())
	case compressed:
		made, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(endpoint),
			otlptracehttp.WithInsecure(), otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	default:
		made, err = otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(endpoint),
			otlptracehttp.WithInsecure())
	}
	must(err)
	return made
}

func newResource(protocol string) *resource.Resource {
	return resource.NewSchemaless(attribute.String("service.name", "go-"+protocol))
}

func sendTraces(ctx context.Context, provider *sdk.TracerProvider) map[string]any {
	tracer := provider.Tracer("scenario", trace.WithInstrumentationVersion("1.0"))
	within, root := tracer.Start(ctx, "root", trace.WithSpanKind(trace.SpanKindServer))
	for number := 0; number < 20; number++ {
		_, step := tracer.Start(within, fmt.Sprintf("step %d", number), trace.WithAttributes(
			attribute.Int("number", number), attribute.StringSlice("list", []string{"a", "b"})))
		step.AddEvent("happened", trace.WithAttributes(attribute.Float64("ratio", 1.5)))
		step.End()
	}
	_, failed := tracer.Start(within, "SELECT", trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("db.system", "postgresql")))
	failed.SetStatus(codes.Error, "no such table")
	failed.End()
	root.End()
	must(provider.Shutdown(ctx))
	return map[string]any{"trace_id": root.SpanContext().TraceID().String(),
		"span_id": root.SpanContext().SpanID().String(), "spans": 22}
}

func sendEarly(ctx context.Context, provider *sdk.TracerProvider) map[string]any {
	tracer := provider.Tracer("scenario")
	later := time.Now().Add(10 * 24 * time.Hour)
	_, early := tracer.Start(ctx, "early", trace.WithTimestamp(later))
	early.End(trace.WithTimestamp(later.Add(time.Second)))
	_, span := tracer.Start(ctx, "new")
	span.End()
	// A partial success is told to the error handler; shutdown repeats it.
	_ = provider.Shutdown(ctx)
	return map[string]any{"trace_id": span.SpanContext().TraceID().String()}
}

func countSampled(ctx context.Context, protocol, endpoint string) map[string]any {
	sampler := jaegerremote.New("go-"+protocol,
		jaegerremote.WithSamplingServerURL("http://"+endpoint+"/api/sampling"),
		jaegerremote.WithSamplingRefreshInterval(100*time.Millisecond),
		jaegerremote.WithInitialSampler(sdk.NeverSample()))
	provider := sdk.NewTracerProvider(sdk.WithSampler(sampler))
	tracer := provider.Tracer("scenario")
	count := func(name string) int {
		taken := 0
		for number := 0; number < 1000; number++ {
			_, span := tracer.Start(ctx, name)
			if span.SpanContext().IsSampled() {
				taken++
			}
			span.End()
		}
		return taken
	}
	time.Sleep(time.Second) // The strategy is fetched at start and then ten times a second.
	return map[string]any{"default": count("anything"), "health": count("GET /health")}
}

func main() {
	ctx := context.Background()
	protocol, endpoint, task := os.Args[1], os.Args[2], os.Args[3]
	var sent map[string]any

	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		lock.Lock()
		said = append(said, err.Error())
		lock.Unlock()
	}))
	if task == "sampled" {
		sent = countSampled(ctx, protocol, endpoint)
	} else {
		out := exporter(ctx, protocol, endpoint, len(os.Args) > 4)
		provider := sdk.NewTracerProvider(sdk.WithBatcher(out), sdk.WithResource(newResource(protocol)))
		if task == "traces" {
			sent = sendTraces(ctx, provider)
		} else {
			sent = sendEarly(ctx, provider)
		}
	}
	sent["said"] = said
	line, err := json.Marshal(sent)
	must(err)
	fmt.Println(string(line))
}
