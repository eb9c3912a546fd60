package maglev

// Size gives the number of slots for n backends: a prime of at least 100*n,
// which the paper's section 5.3 finds to keep backends within 1% of their
// share, or the largest that a table of 64 Ki entries holds. It counts in few
// steps, for a table of another size sends new flows elsewhere.
func Size(n int) int {
	for _, size := range [...]int{1021, 4093, 16381} {
		if size >= 100*n {
			return size
		}
	}
	return 65521
}

func isPrime(n int) bool {
	for d := 2; d*d <= n; d++ {
		if n%d == 0 {
			return false
		}
	}
	return n > 1
}
