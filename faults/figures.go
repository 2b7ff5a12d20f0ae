package faults

// Figures are what came of one kind of fault, as often as a test made it. With
// PICCOLO_FIGURES=FILE in the environment, every test appends its own to that
// file as lines of JSON; go run ./faults/matrix makes the table of
// docs/reliability.md from them.
type Figures struct {
	Row   int    `json:"row"`            // of the matrix, see the program
	Fault string `json:"fault"`          // what was done, and to what
	Test  string `json:"test"`           // by which test
	With  string `json:"with,omitempty"` // the variable that says how often
	Times int    `json:"times"`          // how often it was done

	Acknowledged int       `json:"acknowledged"`         // increments, with a 2xx
	Unanswered   int       `json:"unanswered,omitempty"` // increments that got no reply, and may count
	Lost         int       `json:"lost"`                 // of the acknowledged
	Doubled      int       `json:"doubled"`              // increments that count more than once
	Wrong        int       `json:"wrong,omitempty"`      // keys with a value that these two do not explain
	MustLose     bool      `json:"mustLose,omitempty"`   // a control, or data that is destroyed: Lost must not be 0
	Away         []float64 `json:"away,omitempty"`       // seconds until an increment was in the database again
	Failed       bool      `json:"failed,omitempty"`     // the test, for whatever reason
}
