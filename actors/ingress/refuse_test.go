package ingress_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/piccolo-counter/piccolo/actors/ingress"
)

// A reply that is not 2xx counted nothing, and says which field was wrong and
// what came in it.
func TestIncrementRefuses(t *testing.T) {
	t.Parallel()
	d := open(t)
	inForm := func(body string) request { return request{contentType: form, body: body} }
	inJSON := func(body string) request { return request{contentType: jsonObject, body: body} }
	inQuery := func(query string) request { return request{target: "/increment?" + query} }
	for _, c := range []struct {
		name   string
		send   request
		status int
		field  string
		detail string // a part of it
	}{
		{"nothing at all", request{}, 400, "key", "key is missing"},
		{"no key", inForm("value=10"), 400, "key", "key is missing"},
		{"no key in the query", inQuery("value=10"), 400, "key", "key is missing"},
		{"no key in JSON", inJSON(`{"value":10}`), 400, "key", "key is missing"},
		{"blank key", inForm("key=&value=10"), 400, "key", "key is blank"},
		{"key of blanks", inForm("key=+%09&value=10"), 400, "key", "key is blank"},
		{"key of unicode's blanks", inForm("key=%E2%80%83&value=10"), 400, "key", "key is blank"},
		{"key without =", inForm("key&value=10"), 400, "key", "key is blank"},
		{"blank key in JSON", inJSON(`{"key":"","value":10}`), 400, "key", "key is blank"},
		{"no value", inForm("key=foo"), 400, "value", "value is missing"},
		{"no value in the query", inQuery("key=foo"), 400, "value", "value is missing"},
		{"no value in JSON", inJSON(`{"key":"foo"}`), 400, "value", "value is missing"},
		{"blank value", inForm("key=foo&value="), 400, "value", "value is blank"},
		{"value without =", inForm("key=foo&value"), 400, "value", "value is blank"},

		{"key twice", inForm("key=foo&key=bar&value=10"), 400, "key", `given twice: "foo" and "bar"`},
		{"the same key twice", inForm("key=foo&key=foo&value=10"), 400, "key", `given twice: "foo" and "foo"`},
		{"key twice, blank first", inForm("key=&key=foo&value=10"), 400, "key", `given twice: "" and "foo"`},
		{"value twice", inForm("key=foo&value=10&value=20"), 400, "value", `given twice: "10" and "20"`},
		{"key twice in the query", inQuery("key=foo&key=bar&value=10"), 400, "key", `given twice: "foo" and "bar"`},
		{"key in query and form", request{target: "/increment?key=foo", contentType: form, body: "key=bar&value=10"}, 400, "key", `given twice: "foo" and "bar"`},
		{"value in query and form", request{target: "/increment?value=10", contentType: form, body: "key=foo&value=20"}, 400, "value", `given twice: "10" and "20"`},
		{"value in query and JSON", request{target: "/increment?value=10", contentType: jsonObject, body: `{"key":"foo","value":20}`}, 400, "value", `given twice: "10" and "20"`},
		{"key twice in JSON", inJSON(`{"key":"foo","key":"bar","value":10}`), 400, "key", `given twice: "foo" and "bar"`},
		{"value twice in JSON", inJSON(`{"key":"foo","value":10,"value":20}`), 400, "value", `given twice: "10" and "20"`},
		{"key twice in JSON, once escaped", inJSON(`{"key":"foo","\u006bey":"bar","value":10}`), 400, "key", `given twice: "foo" and "bar"`},

		{"word", inForm("key=foo&value=ten"), 400, "value", `not an integer: "ten"`},
		{"sign alone", inForm("key=foo&value=-"), 400, "value", `not an integer: "-"`},
		{"sign twice", inForm("key=foo&value=--7"), 400, "value", `not an integer: "--7"`},
		{"plus twice", inForm("key=foo&value=++7"), 400, "value", `not an integer: "++7"`},
		{"both signs", inForm("key=foo&value=%2B-7"), 400, "value", `not an integer: "+-7"`},
		{"sign behind", inForm("key=foo&value=7-"), 400, "value", `not an integer: "7-"`},
		{"blank before", inForm("key=foo&value=%207"), 400, "value", `not an integer: " 7"`},
		{"blank behind", inForm("key=foo&value=7%20"), 400, "value", `not an integer: "7 "`},
		{"blank between", inForm("key=foo&value=1%20000"), 400, "value", `not an integer: "1 000"`},
		{"newline behind", inForm("key=foo&value=7\n"), 400, "value", `not an integer: "7\n"`},
		{"decimal point", inForm("key=foo&value=1.0"), 400, "value", `not an integer: "1.0"`},
		{"exponent", inForm("key=foo&value=1e3"), 400, "value", `not an integer: "1e3"`},
		{"hexadecimal", inForm("key=foo&value=0x10"), 400, "value", `not an integer: "0x10"`},
		{"underscore", inForm("key=foo&value=1_000"), 400, "value", `not an integer: "1_000"`},
		{"other digits", inForm("key=foo&value=٣"), 400, "value", `not an integer: "٣"`},
		{"decimal point in JSON", inJSON(`{"key":"foo","value":1.0}`), 400, "value", `not an integer: "1.0"`},
		{"exponent in JSON", inJSON(`{"key":"foo","value":1e3}`), 400, "value", `not an integer: "1e3"`},
		{"one more than int64", inForm("key=foo&value=9223372036854775808"), 400, "value", `outside int64 (-9223372036854775808 to 9223372036854775807): "9223372036854775808"`},
		{"one less than int64", inForm("key=foo&value=-9223372036854775809"), 400, "value", `outside int64 (-9223372036854775808 to 9223372036854775807): "-9223372036854775809"`},
		{"2^64", inForm("key=foo&value=18446744073709551616"), 400, "value", `outside int64`},
		{"2^64 and 7, which wraps to 7", inForm("key=foo&value=18446744073709551623"), 400, "value", `outside int64`},
		{"one more than int64 in JSON", inJSON(`{"key":"foo","value":9223372036854775808}`), 400, "value", `outside int64`},
		{"outside int64 and no integer", inForm("key=foo&value=9223372036854775808x"), 400, "value", `not an integer`},
		{"very long value", inForm("key=foo&value=" + strings.Repeat("9", 500)), 400, "value", `999…" (500 bytes)`},

		{"key too long", inForm("value=10&key=" + strings.Repeat("k", 65)), 400, "key", `key is 65 bytes long, the limit is 64: "kkk`},
		{"key too long in JSON", inJSON(`{"value":10,"key":"` + strings.Repeat("k", 65) + `"}`), 400, "key", `key is 65 bytes long, the limit is 64: "kkk`},
		{"key not UTF-8", inForm("key=a%FFb&value=10"), 400, "key", `not valid UTF-8: "a\xffb"`},
		{"key not UTF-8, raw", inForm("key=a\xFFb&value=10"), 400, "key", `not valid UTF-8: "a\xffb"`},
		{"half a surrogate pair in UTF-8", inForm("key=%ED%A0%BD&value=10"), 400, "key", `not valid UTF-8: "\xed\xa0\xbd"`},
		{"key with NUL", inForm("key=a%00b&value=10"), 400, "key", `NUL byte: "a\x00b"`},
		{"key with NUL behind letters that are not ASCII", inForm("key=%C3%A9%00&value=10"), 400, "key", `NUL byte: "é\x00"`},
		{"key with NUL in JSON", inJSON(`{"key":"a\u0000b","value":10}`), 400, "key", `NUL byte: "a\x00b"`},
		{"percent-encoding cut short", inForm("key=a%2&value=10"), 400, "key", `not valid percent-encoding: "a%2"`},
		{"percent-encoding of no hexadecimal", inForm("key=a%zz&value=10"), 400, "key", `not valid percent-encoding: "a%zz"`},
		{"percent-encoding cut short in the value", inForm("key=foo&value=1%"), 400, "value", `not valid percent-encoding: "1%"`},
		{"unknown parameter", inForm("key=foo&value=10&valeu=20"), 400, "", `parameter "valeu" is unknown`},
		{"unknown parameter in the query", inQuery("key=foo&value=10&force=1"), 400, "", `parameter "force" is unknown`},
		{"ack in a form body", inForm("key=foo&value=10&ack=memory"), 400, "", `parameter "ack" is unknown`},

		{"empty JSON", inJSON(""), 400, "", "not a JSON object"},
		{"JSON array", inJSON(`[{"key":"foo","value":10}]`), 400, "", "not a JSON object"},
		{"form said to be JSON", inJSON("key=foo&value=10"), 400, "", "not a JSON object"},
		{"JSON said to be a form", inForm(`{"key":"foo","value":10}`), 400, "", `parameter "{\"key\":\"foo\",\"value\":10}" is unknown: want key and value; it looks like JSON, which takes Content-Type: application/json`},
		{"JSON cut short", inJSON(`{"key":"foo","value":10`), 400, "", "cut short"},
		{"JSON cut short in a string", inJSON(`{"key":"fo`), 400, "", "cut short"},
		{"JSON with a comma too many", inJSON(`{"key":"foo","value":10,}`), 400, "", "malformed"},
		{"JSON without a colon", inJSON(`{"key" "foo","value":10}`), 400, "", "malformed"},
		{"JSON with a leading zero", inJSON(`{"key":"foo","value":007}`), 400, "", "malformed"},
		{"JSON with a plus", inJSON(`{"key":"foo","value":+7}`), 400, "", "malformed"},
		{"JSON and more", inJSON(`{"key":"foo","value":10}{}`), 400, "", "follows the JSON object"},
		{"JSON not UTF-8", inJSON("{\"key\":\"a\xFF\",\"value\":10}"), 400, "key", `not valid UTF-8: "\"a\xff\""`},
		{"a field's name not UTF-8", inJSON("{\"key\xFF\":\"a\",\"value\":10}"), 400, "", "is unknown"},
		{"JSON not UTF-8 outside of strings", inJSON("{\"key\":\"a\",\xFF\"value\":10}"), 400, "", "malformed"},
		{"unknown field", inJSON(`{"key":"foo","value":10,"force":true}`), 400, "", `field "force" is unknown`},
		{"field's name in capitals", inJSON(`{"Key":"foo","value":10}`), 400, "", `field "Key" is unknown`},
		{"value as a string", inJSON(`{"key":"foo","value":"10"}`), 400, "value", `not a number: "\"10\""`},
		{"value null", inJSON(`{"key":"foo","value":null}`), 400, "value", `not a number: "null"`},
		{"value true", inJSON(`{"key":"foo","value": true}`), 400, "value", `not a number: "true"`},
		{"value an object", inJSON(`{"key":"foo","value":{"a":1}}`), 400, "value", `not a number: "{"`},
		{"value a very long string", inJSON(`{"key":"foo","value":"` + strings.Repeat("9", 500) + `"}`), 400, "value", `999…" (502 bytes)`},
		{"key a number", inJSON(`{"key":7,"value":10}`), 400, "key", `not a string: "7"`},
		{"key null", inJSON(`{"key":null,"value":10}`), 400, "key", `not a string: "null"`},
		{"half a surrogate pair", inJSON(`{"key":"a\ud83d","value":10}`), 400, "key", `half of a surrogate pair: "\"a\\ud83d\""`},
		{"the other half", inJSON(`{"key":"\uDE00","value":10}`), 400, "key", `half of a surrogate pair`},
		{"halves in the wrong order", inJSON(`{"key":"\ude00\ud83d","value":10}`), 400, "key", `half of a surrogate pair`},
		{"half a pair before another escape", inJSON(`{"key":"\ud83d\n","value":10}`), 400, "key", `half of a surrogate pair`},
		{"half a pair beside the character that stands for it", inJSON(`{"key":"\ufffd\ud83d","value":10}`), 400, "key", `half of a surrogate pair`},
		{"half a pair beside text that looks like that", inJSON(`{"key":"\\ufffd\ud83d","value":10}`), 400, "key", `half of a surrogate pair`},

		{"plain text", request{contentType: "text/plain", body: "key=foo&value=10"}, 415, "", `Content-Type "text/plain"`},
		{"multipart form", request{contentType: "multipart/form-data; boundary=x", body: "--x--"}, 415, "", `Content-Type "multipart/form-data"`},
		{"nearly JSON", request{contentType: "application/json-seq", body: `{"key":"foo","value":10}`}, 415, "", `Content-Type "application/json-seq"`},
		{"body too large", inForm("key=foo&value=10&key=" + strings.Repeat("k", 1<<10)), 413, "", "larger than 1024 bytes"},
		{"body too large in chunks", request{contentType: form, body: strings.Repeat("&", 1<<10) + "key=foo&value=10", chunked: true}, 413, "", "larger than 1024 bytes"},

		{"blank idempotency key", request{contentType: form, body: "key=foo&value=10", header: http.Header{"Idempotency-Key": {""}}}, 400, "Idempotency-Key", "is 0 bytes long, want 8 to 255"},
		{"idempotency key too short", request{contentType: form, body: "key=foo&value=10", header: http.Header{"Idempotency-Key": {"1234567"}}}, 400, "Idempotency-Key", "is 7 bytes long, want 8 to 255"},
		{"idempotency key too long", request{contentType: form, body: "key=foo&value=10", header: http.Header{"Idempotency-Key": {strings.Repeat("k", 256)}}}, 400, "Idempotency-Key", "is 256 bytes long, want 8 to 255"},
		{"two idempotency keys", request{contentType: form, body: "key=foo&value=10", header: http.Header{"Idempotency-Key": {"order-4711", "order-4712"}}}, 400, "Idempotency-Key", "is given twice"},

		{"set without a value", request{method: "PUT", target: "/v1/numbers/foo", contentType: form}, 400, "value", "is missing"},
		{"set to no integer", request{method: "PUT", target: "/v1/numbers/foo", contentType: jsonObject, body: `{"value":1.5}`}, 400, "value", "is not an integer"},
		{"set with a key in the body", request{method: "PUT", target: "/v1/numbers/foo", contentType: form, body: "key=foo&value=1"}, 400, "key", "stands in the path"},
		{"set of a blank key", request{method: "PUT", target: "/v1/numbers/", contentType: form, body: "value=1"}, 400, "key", "is blank"},
		{"set of a key of blanks", request{method: "PUT", target: "/v1/numbers/%20%09", contentType: form, body: "value=1"}, 400, "key", "is blank"},
		{"set of a key that is too long", request{method: "PUT", target: "/v1/numbers/" + strings.Repeat("k", 65), contentType: form, body: "value=1"}, 400, "key", "key is 65 bytes long, the limit is 64"},
		{"removal of a blank key", request{method: "DELETE", target: "/v1/numbers/"}, 400, "key", "is blank"},
		{"set from memory", request{method: "PUT", target: "/v1/numbers/foo?ack=memory", contentType: form, body: "value=1"}, 400, "ack", "want stored or applied"},
		{"set from memory, by header", request{method: "PUT", target: "/v1/numbers/foo", contentType: form, body: "value=1", header: http.Header{"Piccolo-Ack": {"memory"}}}, 400, "Piccolo-Ack", "want stored or applied"},
		{"set with an idempotency key", request{method: "PUT", target: "/v1/numbers/foo", contentType: form, body: "value=1", header: http.Header{"Idempotency-Key": {"order-4711"}}}, 400, "Idempotency-Key", "may be sent again without one"},
		{"removal with a value", request{method: "DELETE", target: "/v1/numbers/foo?value=1"}, 400, "value", "use PUT to set it"},
		{"removal from memory", request{method: "DELETE", target: "/v1/numbers/foo?ack=memory"}, 400, "ack", "want stored or applied"},

		{"unknown path", request{target: "/", contentType: form, body: "key=foo&value=10"}, 404, "", `nothing is served at "/"`},
		{"path with a slash behind", request{target: "/increment/", contentType: form, body: "key=foo&value=10"}, 404, "", `nothing is served at "/increment/"`},
		{"path in capitals", request{target: "/Increment?key=foo&value=10"}, 404, "", `nothing is served at "/Increment"`},
		{"two slashes", request{target: "//increment?key=foo&value=10"}, 404, "", `nothing is served at "//increment"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := d.of(t)
			p := d.refused(d.send(c.send), c.status)
			if p.Field != c.field || !strings.Contains(p.Detail, c.detail) {
				t.Errorf("field %q, detail %q: want field %q and %q", p.Field, p.Detail, c.field, c.detail)
			}
		})
	}
}

// A body that is longer than a pair can be is refused for what is in it, as long
// as it is not very long.
func TestKeyThatIsFarTooLong(t *testing.T) {
	t.Parallel()
	d := open(t, func(c *ingress.Config) { c.MaxBody = 1 << 20 })
	for _, chunked := range []bool{false, true} {
		for _, r := range []request{
			{contentType: form, body: "value=1&key=" + strings.Repeat("k", 8<<10), chunked: chunked},
			{contentType: jsonObject, body: `{"value":1,"key":"` + strings.Repeat("k", 8<<10) + `"}`, chunked: chunked},
		} {
			if p := d.refused(d.send(r), 400); p.Field != "key" || !strings.Contains(p.Detail, "key is 8192 bytes long, the limit is 64") {
				t.Errorf("%+v", p)
			}
		}
		d.refused(d.send(request{contentType: form, body: "value=1&key=" + strings.Repeat("k", 64<<10), chunked: chunked}), 413)
	}
}

func TestWrongMethodIsToldTheRightOne(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct{ method, target, allow string }{
		{http.MethodGet, "/increment?key=foo&value=10", "POST"},
		{http.MethodPut, "/increment?key=foo&value=10", "POST"},
		{http.MethodDelete, "/increment?key=foo&value=10", "POST"},
		{http.MethodOptions, "/increment?key=foo&value=10", "POST"},
		{"INCREMENT", "/increment?key=foo&value=10", "POST"},
		{http.MethodPost, "/v1/numbers/foo", "GET, HEAD, PUT, DELETE"},
		{http.MethodDelete, "/v1/numbers", "GET, HEAD"},
		{http.MethodPost, "/livez", "GET, HEAD"},
		{http.MethodPost, "/readyz", "GET, HEAD"},
	} {
		t.Run(c.method+" "+c.target, func(t *testing.T) {
			d := d.of(t)
			r := d.send(request{method: c.method, target: c.target})
			p := d.refused(r, 405)
			if got := r.header.Get("Allow"); got != c.allow {
				t.Errorf("Allow: %q, want %q", got, c.allow)
			}
			if !strings.Contains(p.Detail, c.method) {
				t.Errorf("detail %q does not name %s", p.Detail, c.method)
			}
		})
	}
	t.Run("HEAD /increment", func(t *testing.T) {
		d := d.of(t)
		r := d.send(request{method: http.MethodHead, target: "/increment?key=foo&value=10"})
		if r.status != 405 || r.header.Get("Allow") != "POST" || r.body != "" {
			t.Errorf("%d, Allow %q, body %q", r.status, r.header.Get("Allow"), r.body)
		}
		d.nothingWaits()
	})
}
