package loader

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// onlineFile lists the CPUs that run, such as 0-3,6.
const onlineFile = "/sys/devices/system/cpu/online"

// OnlineCPUs is how many CPUs may see packets: those that run, whatever this process is allowed to use.
func OnlineCPUs() (int, error) {
	data, err := os.ReadFile(onlineFile)
	if err != nil {
		return 0, fmt.Errorf("count the CPUs: %w", err)
	}
	n, err := countRanges(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("count the CPUs in %s: %w", onlineFile, err)
	}
	return n, nil
}

func countRanges(list string) (n int, err error) {
	for _, r := range strings.Split(list, ",") {
		from, to, ranged := strings.Cut(r, "-")
		if !ranged {
			to = from
		}
		first, err := strconv.Atoi(from)
		if err != nil {
			return 0, err
		}
		last, err := strconv.Atoi(to)
		if err != nil {
			return 0, err
		}
		n += last - first + 1
	}
	return n, nil
}
