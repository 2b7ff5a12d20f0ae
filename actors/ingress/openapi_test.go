package ingress_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/piccolo-counter/piccolo"
	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// document is what the test reads of an OpenAPI document.
type document struct {
	t          *testing.T
	OpenAPI    string `yaml:"openapi"`
	Paths      map[string]map[string]any
	Components map[string]map[string]any
}

// at follows a reference.
func (d *document) at(v any) map[string]any {
	d.t.Helper()
	m, _ := v.(map[string]any)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	parts := strings.Split(strings.TrimPrefix(ref, "#/components/"), "/")
	if len(parts) != 2 || d.Components[parts[0]][parts[1]] == nil {
		d.t.Fatalf("%s refers to nothing", ref)
	}
	return d.at(d.Components[parts[0]][parts[1]])
}

// responses are the documented ones of an operation, by status.
func (d *document) responses(method, path string) map[string]any {
	operation, _ := d.Paths[path][strings.ToLower(method)].(map[string]any)
	responses, _ := operation["responses"].(map[string]any)
	return responses
}

// check says how a value departs from a schema, as far as this document uses
// schemas.
func (d *document) check(schema, value any) string {
	s := d.at(schema)
	switch s["type"] {
	case "object":
		object, ok := value.(map[string]any)
		if !ok {
			return "is no object"
		}
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := object[name.(string)]; !ok {
				return name.(string) + " is missing"
			}
		}
		properties, _ := s["properties"].(map[string]any)
		for name, v := range object {
			if properties[name] == nil {
				return name + " is not documented"
			}
			if wrong := d.check(properties[name], v); wrong != "" {
				return name + ": " + wrong
			}
		}
	case "array":
		array, ok := value.([]any)
		if !ok {
			return "is no array"
		}
		for _, v := range array {
			if wrong := d.check(s["items"], v); wrong != "" {
				return wrong
			}
		}
	case "string":
		text, ok := value.(string)
		if pattern, has := s["pattern"].(string); !ok || has && !regexp.MustCompile(pattern).MatchString(text) {
			return "is no such string"
		}
	case "integer":
		if n, ok := value.(json.Number); !ok || strings.ContainsAny(n.String(), ".eE") {
			return "is no integer"
		}
	case "number":
		if _, ok := value.(json.Number); !ok {
			return "is no number"
		}
	case nil:
		if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, value) {
			return "is not among those that are listed"
		}
	default:
		d.t.Fatalf("the test knows no type %v", s["type"])
	}
	return ""
}

func readDocument(t *testing.T, text string) *document {
	t.Helper()
	d := &document{t: t}
	if err := yaml.Unmarshal([]byte(text), d); err != nil {
		t.Fatal(err)
	}
	return d
}

// Every route is documented and every documented operation is served, with the
// statuses that the document lists and bodies as it describes them.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, []byte("admin all\nread r\nincrement i\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := newLog("l")
	l.add("foo", 1)
	serve := func(timeout time.Duration) *door {
		d := open(t, func(c *ingress.Config) {
			known, err := ingress.LoadTokens(tokens, c.Log)
			if err != nil {
				t.Fatal(err)
			}
			c.Tokens = known
			c.AckTimeout = timeout
		})
		d.reader.answer = l.answer
		return d
	}
	d, impatient := serve(time.Minute), serve(time.Millisecond)
	served := d.send(request{method: http.MethodGet, target: "/openapi.yaml"})
	if served.status != 200 || served.header.Get("Content-Type") != "application/yaml" {
		t.Fatalf("%d, Content-Type %q", served.status, served.header.Get("Content-Type"))
	}
	doc := readDocument(t, served.body)

	var documented []string
	for path, operations := range doc.Paths {
		for method := range operations {
			if method != "parameters" {
				documented = append(documented, strings.ToUpper(method)+" "+path)
			}
		}
	}
	routes := ingress.Routes()
	slices.Sort(documented)
	slices.Sort(routes)
	if !slices.Equal(documented, routes) {
		t.Errorf("documented: %q\nserved: %q", documented, routes)
	}

	seen := make(map[string]bool) // of operations, with the status
	askOf := func(d *door, route, token string, r request) {
		t.Helper()
		method, path, _ := strings.Cut(route, " ")
		r.method = method
		if r.header == nil {
			r.header = http.Header{}
		}
		if token != "" {
			r.header.Set("Authorization", "Bearer "+token)
		}
		var res reply
		if strings.HasPrefix(r.target, "/v1/watch") {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			req, _ := http.NewRequestWithContext(ctx, method, "http://"+d.addr+r.target, nil)
			req.Header = r.header
			raw, err := d.client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer raw.Body.Close()
			if res = (reply{status: raw.StatusCode, header: raw.Header}); raw.StatusCode != 200 {
				if res, err = readReply(raw); err != nil {
					t.Fatal(err)
				}
			}
		} else {
			res = d.send(r)
		}
		status := strconv.Itoa(res.status)
		responses := doc.responses(method, path)
		documented, ok := responses[status]
		if !ok {
			t.Errorf("%s answers %s, which is not documented: %s", route, status, res.body)
			return
		}
		seen[route+" "+status] = true
		media, _, _ := strings.Cut(res.header.Get("Content-Type"), ";")
		content, _ := doc.at(documented)["content"].(map[string]any)
		described, ok := content[media].(map[string]any)
		if !ok {
			t.Errorf("%s answers %s with Content-Type %q, which is not documented", route, status, media)
			return
		}
		if !strings.HasSuffix(media, "json") {
			return
		}
		var body any
		dec := json.NewDecoder(strings.NewReader(res.body))
		dec.UseNumber()
		if err := dec.Decode(&body); err != nil {
			t.Errorf("%s: %s: %v", route, res.body, err)
		} else if wrong := doc.check(described["schema"], body); wrong != "" {
			t.Errorf("%s: %s: %s", route, res.body, wrong)
		}
	}
	ask := func(route, token string, r request) {
		t.Helper()
		askOf(d, route, token, r)
	}
	with := func(name, value string) http.Header { return http.Header{name: {value}} }

	release := impatient.stream.hold()
	for _, c := range []struct{ route, target, body string }{
		{"POST /increment", "/increment", "key=foo&value=1"},
		{"POST /v1/increments", "/v1/increments", "key=foo&value=1&key=bar&value=2"},
		{"PUT /v1/numbers/{key}", "/v1/numbers/foo", "value=1"},
		{"DELETE /v1/numbers/{key}", "/v1/numbers/foo", ""},
	} {
		media := form
		if c.body == "" {
			media = ""
		}
		ask(c.route, "all", request{target: c.target, body: c.body, contentType: media})
		ask(c.route, "", request{target: c.target, body: c.body, contentType: media})
		ask(c.route, "r", request{target: c.target, body: c.body, contentType: media})
		ask(c.route, "all", request{target: c.target + "?nonsense=1", body: c.body, contentType: media})
		if c.body != "" {
			ask(c.route, "all", request{target: c.target, body: c.body, contentType: "text/html"})
		}
		askOf(impatient, c.route, "all", request{target: c.target, body: c.body, contentType: media, header: with("Piccolo-Ack", "stored")})
	}
	release()
	for _, c := range []struct{ route, target, body string }{
		{"POST /increment", "/increment", "key=foo&value=1"},
		{"POST /v1/increments", "/v1/increments", "key=foo&value=1"},
	} {
		ask(c.route, "all", request{target: c.target, body: c.body, contentType: form, header: with("Idempotency-Key", "key-of "+c.target)})
		ask(c.route, "all", request{target: c.target, body: strings.Replace(c.body, "1", "2", 1), contentType: form, header: with("Idempotency-Key", "key-of "+c.target)})
		ask(c.route, "all", request{target: c.target, body: "key=" + strings.Repeat("k", 2<<10), contentType: form})
	}
	d.commitsAll()
	for _, c := range []struct{ route, target, body string }{
		{"POST /increment", "/increment", "key=foo&value=1"},
		{"POST /v1/increments", "/v1/increments", "key=foo&value=1&key=bar&value=2"},
		{"PUT /v1/numbers/{key}", "/v1/numbers/foo", "value=1"},
	} {
		ask(c.route, "all", request{target: c.target, body: c.body, contentType: form, header: with("Piccolo-Ack", "applied")})
	}
	for _, c := range []struct{ route, target string }{
		{"GET /v1/numbers/{key}", "/v1/numbers/foo"},
		{"GET /v1/numbers", "/v1/numbers?key=foo&key=never"},
		{"GET /v1/numbers", "/v1/numbers?limit=1"},
		{"GET /v1/watch", "/v1/watch?prefix="},
	} {
		ask(c.route, "r", request{target: c.target})
		ask(c.route, "", request{target: c.target})
		ask(c.route, "i", request{target: c.target})
		nonsense := "?nonsense=1"
		if strings.Contains(c.target, "?") {
			nonsense = "&nonsense=1"
		}
		ask(c.route, "r", request{target: c.target + nonsense})
		l.fails(errors.New("no writer serves partition 0"))
		ask(c.route, "r", request{target: c.target})
		l.fails(context.DeadlineExceeded)
		ask(c.route, "r", request{target: c.target})
		l.fails(nil)
	}
	ask("GET /v1/numbers/{key}", "r", request{target: "/v1/numbers/never"})
	for _, path := range []string{"/openapi.yaml", "/livez", "/readyz"} {
		ask("GET "+path, "", request{target: path})
	}
	// The stream is full: nothing is taken any more.
	d.stream.fails(piccolo.ErrFull)
	for len(d.stream.asked) > 0 {
		<-d.stream.asked
	}
	first := d.async(request{body: "key=foo&value=1", contentType: form, header: with("Authorization", "Bearer all")})
	<-d.stream.asked
	<-d.stream.asked // the second try comes when the first has been taken note of
	for _, c := range []struct{ route, target, body string }{
		{"POST /increment", "/increment", "key=foo&value=1"},
		{"POST /v1/increments", "/v1/increments", "key=foo&value=1"},
		{"PUT /v1/numbers/{key}", "/v1/numbers/foo?value=1", ""},
		{"DELETE /v1/numbers/{key}", "/v1/numbers/foo", ""},
		{"GET /readyz", "/readyz", ""},
	} {
		media := form
		if c.body == "" {
			media = ""
		}
		ask(c.route, "all", request{target: c.target, body: c.body, contentType: media})
	}

	d.stream.fails(nil)
	<-first

	// 411 takes a request that no client of this kind sends.
	for _, path := range []string{"/increment", "/v1/increments"} {
		for _, r := range d.raw("POST " + path + " HTTP/1.1\r\nHost: piccolo\r\nContent-Type: " + form + "\r\nAuthorization: Bearer all\r\n\r\n") {
			seen["POST "+path+" "+strconv.Itoa(r.status)] = true
		}
	}
	for _, route := range documented {
		method, path, _ := strings.Cut(route, " ")
		for status := range doc.responses(method, path) {
			if status != "default" && !seen[route+" "+status] {
				t.Errorf("%s: %s is documented, and was not answered", route, status)
			}
		}
	}
}
