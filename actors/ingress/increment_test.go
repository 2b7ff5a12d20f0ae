package ingress_test

import (
	"math"
	"strings"
	"testing"
)

func TestIncrementIsCountedAsSent(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct {
		name  string
		send  request
		key   string
		value int64
	}{
		{"form body", request{contentType: form, body: "key=foo&value=10"}, "foo", 10},
		{"form body, the other way round", request{contentType: form, body: "value=10&key=foo"}, "foo", 10},
		{"form body with a charset", request{contentType: form + "; charset=UTF-8", body: "key=foo&value=10"}, "foo", 10},
		{"form body, its type in capitals", request{contentType: strings.ToUpper(form), body: "key=foo&value=10"}, "foo", 10},
		{"form body without a type", request{body: "key=foo&value=10"}, "foo", 10},
		{"form body in chunks", request{contentType: form, body: "key=foo&value=10", chunked: true}, "foo", 10},
		{"form body with idle ampersands", request{contentType: form, body: "&&key=foo&&value=10&"}, "foo", 10},
		{"query string", request{target: "/increment?key=foo&value=10"}, "foo", 10},
		{"query string and form body, one field each", request{target: "/increment?key=foo", contentType: form, body: "value=10"}, "foo", 10},
		{"query string and an empty body", request{target: "/increment?key=foo&value=10", contentType: jsonObject, body: ""}, "foo", 10},
		{"JSON", request{contentType: jsonObject, body: `{"key":"foo","value":10}`}, "foo", 10},
		{"JSON, the other way round", request{contentType: jsonObject, body: ` { "value" : 10 , "key" : "foo" } ` + "\n"}, "foo", 10},
		{"JSON with a charset", request{contentType: jsonObject + ";charset=utf-8", body: `{"key":"foo","value":10}`}, "foo", 10},
		{"JSON in chunks", request{contentType: jsonObject, body: `{"key":"foo","value":10}`, chunked: true}, "foo", 10},
	} {
		t.Run(c.name, func(t *testing.T) { d.counts(t, c.send, c.key, c.value) })
	}
}

func TestIncrementTakesAnyKey(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct{ name, form, json, key string }{
		{"letters", "foo", "foo", "foo"},
		{"Cyrillic", "ключ", "ключ", "ключ"},
		{"percent-encoded Cyrillic", "%D0%BA%D0%BB%D1%8E%D1%87", `\u043a\u043B\u044e\u0447`, "ключ"},
		{"emoji", "😀", "😀", "😀"},
		{"percent-encoded emoji", "%F0%9F%98%80", `\ud83d\ude00`, "😀"},
		{"replacement character", "a\uFFFD", "a\uFFFD", "a\uFFFD"},
		{"escaped replacement character", "a%EF%BF%BD", `a\uFFfd`, "a\uFFFD"},
		{"plus for a blank", "a+b", "a b", "a b"},
		{"percent-encoded blank", "a%20b", `a\u0020b`, "a b"},
		{"blanks at the ends", "+a+", " a ", " a "},
		{"percent-encoded plus", "a%2Bb", "a+b", "a+b"},
		{"what separates fields", "a%26b%3Dc", "a&b=c", "a&b=c"},
		{"equals sign", "a=b", "a=b", "a=b"},
		{"percent sign", "100%25", "100%", "100%"},
		{"slash", "a/b", `a\/b`, "a/b"},
		{"quote and backslash", `"\`, `\"\\`, `"\`},
		{"escape that is text", `\ud83d`, `\\ud83d`, `\ud83d`},
		{"control characters", "a%0A%01", `a\n\u0001`, "a\n\x01"},
		{"as long as a key may be", strings.Repeat("k", 64), strings.Repeat("k", 64), strings.Repeat("k", 64)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.counts(t, request{contentType: form, body: "key=" + c.form + "&value=10"}, c.key, 10)
			d.counts(t, request{contentType: jsonObject, body: `{"key":"` + c.json + `","value":10}`}, c.key, 10)
		})
	}
}

func TestIncrementTakesAnyInt64(t *testing.T) {
	t.Parallel()
	d := open(t)
	for _, c := range []struct {
		text  string
		value int64
	}{
		{"0", 0},
		{"-0", 0},
		{"7", 7},
		{"-7", -7},
		{"+7", 7}, // in a form + is a blank elsewhere, and no value has one
		{"%2B7", 7},
		{"%2d7", -7},
		{"007", 7},
		{"9223372036854775807", math.MaxInt64},
		{"+9223372036854775807", math.MaxInt64},
		{"-9223372036854775808", math.MinInt64},
		{"-00000000000000000000009223372036854775808", math.MinInt64},
	} {
		t.Run(c.text, func(t *testing.T) {
			d.counts(t, request{contentType: form, body: "key=foo&value=" + c.text}, "foo", c.value)
			d.counts(t, request{target: "/increment?key=foo&value=" + c.text}, "foo", c.value)
		})
	}
	for _, c := range []struct {
		text  string
		value int64
	}{
		{"0", 0},
		{"-0", 0},
		{"-7", -7},
		{"9223372036854775807", math.MaxInt64},
		{"-9223372036854775808", math.MinInt64},
	} {
		t.Run("JSON "+c.text, func(t *testing.T) {
			d.counts(t, request{contentType: jsonObject, body: `{"key":"foo","value":` + c.text + `}`}, "foo", c.value)
		})
	}
}

// counts checks that r is one increment, in the batch that its receipt names.
func (d *door) counts(t *testing.T, r request, key string, value int64) {
	t.Helper()
	d = d.of(t)
	res := d.send(r)
	d.acked(res, 200, "stored")
	b := d.batch(res)
	if b.Increments != 1 || len(b.Deltas) != 1 || b.Deltas[0].Key != key || b.Deltas[0].Value != value {
		t.Fatalf("counted %d as %+v: want 1 of %q, %d", b.Increments, b.Deltas, key, value)
	}
}
