package ingress

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/valyala/fasthttp"

	"github.com/piccolo-counter/piccolo"
)

// read decodes a body, and returns its increments in order of their keys.
func read(in *Ingress, media string, body io.Reader) (all []piccolo.Increment, p *problem) {
	t := in.openIntake()
	defer t.close()
	if p := t.read(body, []byte(media)); p != nil {
		return nil, p
	}
	return t.increments(), nil
}

// increments are what has been decoded, in order of their keys.
func (t *intake) increments() (all []piccolo.Increment) {
	for _, lot := range t.bulk.touched {
		for i := range t.bulk.lots[lot] {
			item := &t.bulk.lots[lot][i]
			all = append(all, piccolo.Increment{Key: string(t.bulk.key(item)), Value: item.value})
		}
	}
	return inOrder(all)
}

func inOrder(all []piccolo.Increment) []piccolo.Increment {
	slices.SortFunc(all, func(a, b piccolo.Increment) int {
		if a.Key != b.Key {
			return strings.Compare(a.Key, b.Key)
		}
		return int(min(max(a.Value, b.Value)-b.Value, 1)) - int(min(max(a.Value, b.Value)-a.Value, 1))
	})
	return all
}

// asEncodingJSON reads the bodies that are JSON.
func asEncodingJSON(media, body string) (all []piccolo.Increment, err error) {
	if media == "application/json" {
		if strings.HasPrefix(strings.TrimLeft(body, " \t\r\n"), "{") {
			body = "[" + body + "]"
		}
		err = json.Unmarshal([]byte(body), &all)
		return inOrder(all), err
	}
	for line := range strings.SplitSeq(body, "\n") {
		if strings.Trim(line, " \t\r") == "" {
			continue
		}
		var i piccolo.Increment
		if err := json.Unmarshal([]byte(line), &i); err != nil {
			return nil, err
		}
		all = append(all, i)
	}
	return inOrder(all), nil
}

// plainMany reads the bodies that are JSON and in which there is nothing to
// refuse.
func plainMany(in *Ingress, media string, body []byte) (all []piccolo.Increment, ok bool) {
	var items []json.RawMessage
	switch {
	case len(body) > in.longestPair():
		return nil, false
	case media == "application/json" && bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")):
		items = append(items, body)
	case media == "application/json":
		if json.Unmarshal(body, &items) != nil {
			return nil, false
		}
	case media == "application/x-ndjson":
		for line := range bytes.SplitSeq(body, []byte("\n")) {
			if len(bytes.Trim(line, " \t\r")) > 0 {
				items = append(items, line)
			}
		}
	}
	for _, item := range items {
		key, value, ok := plainObject(item)
		if !ok || len(key) > in.MaxKeyBytes {
			return nil, false
		}
		all = append(all, piccolo.Increment{Key: key, Value: value})
	}
	return inOrder(all), len(items) > 0
}

// Whatever is taken is what encoding/json or net/url reads, however the body
// comes in; and what encoding/json reads is taken, where nothing is wrong with it.
func FuzzManyAreWhatOthersRead(f *testing.F) {
	medias := []string{"application/x-ndjson", "application/json", "application/x-www-form-urlencoded"}
	for media := range medias {
		for _, s := range []string{
			"", "\n", "[]", "[ ]", "{}", "[{}]", "[[]]", "key=foo&value=10&value=-7&key=bar", "&&key=a+b&value=%2B7&", "key=foo", "key=foo&value=10&key=%zz&value=1",
			`{"key":"foo","value":10}` + "\n" + `{"key": "bar", "value": -7}` + "\r\n\n" + `{"value":1,"key":"\ud83d\ude00"}`,
			`[{"key":"foo","value":10}, {"key": "b}r", "value": -7},` + "\n" + `{"value":1,"key":"\ud83d\ude00"}]`,
			`{"key":"foo","value":10}{"key":"foo","value":10}`, `[{"key":"foo","value":10},]`, `[{"key":"foo","value":10}]]`, strings.Repeat("[", 100), strings.Repeat(`{"a":`, 100),
		} {
			f.Add(media, []byte(s))
		}
	}
	in := still(f, 2, 10, 1000)
	f.Fuzz(func(t *testing.T, media int, body []byte) {
		m := medias[uint(media)%uint(len(medias))]
		got, p := read(in, m, bytes.NewReader(body))
		slow, q := read(in, m, iotest.OneByteReader(bytes.NewReader(body)))
		if (p == nil) != (q == nil) || p != nil && p.Detail != q.Detail || !slices.Equal(got, slow) {
			t.Fatalf("%q at once: %v, %v; byte by byte: %v, %v", body, got, p, slow, q)
		}
		if plain, ok := plainMany(in, m, body); ok && (p != nil || !slices.Equal(got, plain)) {
			t.Fatalf("%q is %v, and refused (%+v) or taken for %v", body, plain, p, got)
		}
		if p != nil {
			return
		}
		if m == "application/x-www-form-urlencoded" {
			if len(got) == 0 || bytes.ContainsRune(body, ';') {
				return
			}
			form, err := url.ParseQuery(strings.ReplaceAll(string(body), "+", "%2B"))
			if err != nil || len(form["key"]) != len(got) || len(form["value"]) != len(got) {
				t.Errorf("%q: %v, net/url says %v, %v", body, got, form, err)
			}
			return
		}
		if want, err := asEncodingJSON(m, string(body)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, encoding/json says %v, %v", body, got, want, err)
		}
	})
}

// A body of any length and an item anywhere in it come through the window.
func TestManyThroughTheWindow(t *testing.T) {
	in := still(t, 1, 10, 1000)
	var lines, array, form strings.Builder
	var want []piccolo.Increment
	array.WriteByte('[')
	for i := range 20_000 {
		key := fmt.Sprintf("k%d", i%1000*i%99_999)
		fmt.Fprintf(&lines, "{\"key\":%q,\"value\":%d}\n", key, i)
		if i > 0 {
			array.WriteString(", ")
		}
		fmt.Fprintf(&array, "{\"value\":%d,\"key\":%q}", i, key)
		fmt.Fprintf(&form, "key=%s&value=%d&", key, i)
		want = append(want, piccolo.Increment{Key: key, Value: int64(i)})
	}
	array.WriteByte(']')
	want = inOrder(want)
	for media, body := range map[string]string{
		"application/x-ndjson": lines.String(), "application/json": array.String(), "application/x-www-form-urlencoded": form.String(),
	} {
		got, p := read(in, media, strings.NewReader(body))
		if p != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d increments of %d, %v", media, len(got), len(want), p)
		}
	}
	if used := in.memory.used.Load(); used != 0 {
		t.Errorf("%d bytes are taken when nothing is read", used)
	}
}

// An item that is larger than any pair can be is refused, and is not read on.
func TestItemThatIsTooLong(t *testing.T) {
	in := still(t, 1, 10, 1000)
	for media, start := range map[string]string{
		"application/x-ndjson": `{"key":"`, "application/json": `[{"key":"`, "application/x-www-form-urlencoded": "key=",
	} {
		body := &endless{start: start}
		_, p := read(in, media, body)
		if p == nil || p.Status != 400 || !strings.Contains(p.Detail, "increment 0: is longer than") {
			t.Errorf("%s: %v", media, p)
		}
		if body.n > 1<<20 {
			t.Errorf("%s: %d bytes were read", media, body.n)
		}
	}
}

// endless is a body that never ends.
type endless struct {
	start string
	n     int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.start)
	e.start = e.start[n:]
	for ; n < len(p); n++ {
		p[n] = 'k'
	}
	e.n += n
	return n, nil
}

// Bodies that take too much memory together are refused, not read.
func TestMemoryOfBodiesIsBounded(t *testing.T) {
	in := still(t, 1, 10, 1000)
	in.memory.max = 1 << 20
	body := strings.Repeat(`{"key":"a","value":1}`+"\n", 100_000)
	_, p := read(in, "application/x-ndjson", strings.NewReader(body))
	if p == nil || p.Status != 503 || p.retryAfter == 0 || !strings.Contains(p.Detail, errCrowded.Error()) {
		t.Errorf("%+v", p)
	}
	if used := in.memory.used.Load(); used != 0 {
		t.Errorf("%d bytes are taken when nothing is read", used)
	}
}

// A request for one number takes of that memory what has come of its body beyond
// what a pair may have, and nothing before: else those who send nothing could
// have everybody else refused.
func TestMemoryOfALongPair(t *testing.T) {
	in := still(t, 1, 10, 1000)
	in.MaxBody = 1 << 20
	var taken []int64
	ask := func(length int) *problem {
		taken = nil
		var ctx fasthttp.RequestCtx
		ctx.Init2(new(conn), nil, false)
		body := &watched{strings.NewReader(strings.Repeat(" ", length)), func() { taken = append(taken, in.memory.used.Load()) }}
		ctx.Request.SetBodyStream(iotest.OneByteReader(body), -1)
		_, p := in.readPair(&ctx, new([]byte))
		if used := in.memory.used.Load(); used != 0 {
			t.Errorf("%d bytes: %d are taken when nothing is read", length, used)
		}
		return p
	}
	if p := ask(in.longestPair()); p != nil || slices.Max(taken) != 0 {
		t.Errorf("a pair takes %d bytes of the memory, and is refused with %+v", slices.Max(taken), p)
	}
	if p := ask(maxUnread); p != nil || taken[0] != 0 || slices.Max(taken) < maxUnread || slices.Max(taken) > 2*maxUnread {
		t.Errorf("a long body takes %d bytes at first and %d in the end, and is refused with %+v", taken[0], slices.Max(taken), p)
	}
	in.memory.max = 1000
	if p := ask(maxUnread); p == nil || p.Status != 503 || len(taken) > maxUnread/2 {
		t.Errorf("where there is no memory, %d bytes are read, and refused with %+v", len(taken), p)
	}
}

// watched tells of every read.
type watched struct {
	io.Reader
	tell func()
}

func (w *watched) Read(p []byte) (int, error) {
	w.tell()
	return w.Reader.Read(p)
}
