package writer_test

import (
	"os"
	"testing"

	"github.com/piccolo-counter/piccolo/internal/leak"
)

func TestMain(m *testing.M) { os.Exit(leak.Main(m)) }
