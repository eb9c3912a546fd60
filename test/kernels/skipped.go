package main

// What is left out takes minutes on an emulated CPU, and says about a kernel nothing that is not said by what stays: the
// kernel that runs here has all of it.
var (
	// Each look of a verifier at a build takes several seconds. The parts of the fourth configuration are in others, and the
	// test build is loaded by the suites that follow.
	skippedPrograms = []string{
		"TestEveryProgramLoads.*/test.build", "TestEveryProgramLoads.*/weak.order.1,.previous.0",
	}
	skippedDatapath = []string{
		// Two CPUs that fight for the same lines: emulated ones take turns.
		"TwoCPUs", "TwoFirst", "Barrier", "NoFlood",
		// Rules left out, to show that tests see it; mutants need a compiler.
		"Without", "EveryMutant",
		// Arithmetic of the program alone, over all values.
		"EveryChecksum", "AtEveryLength", "MSSIsLowered", "IPIPCarries", "AShareOfClients", "TheSalt", "AComputedChecksumOf0",
		// Full tables: rules of the program alone, with many thousand packets each.
		"Crowded", "AFloodOfFragments", "NewDatagramsReplace", "ErrorsUpdateEvery", "Shuffled", "LongestProbe", "HighestBackend",
		// A build of its own, for a clock that no kernel changes.
		"TheLastUnpinnedTick",
		// The model goes these ways too.
		"ALostBackendsSessions", "ABackendOfWeightZero", "FragmentsOfAnother", "FragmentsExpire", "TheOrderOf",
		// What Go says of the program, ten thousand times.
		"ExplainAgrees",
		// A tracer is loaded for each row; the one that runs beside the model meets the same packets.
		"ATraceSays", "ATraceNames", "ATraceIsBounded",
		// Limits and counts that the model has, too.
		"HalfOpenFlowsStay", "EachBackendCounts", "FollowItsClientsVLAN",
		// Fuzzing, and its corpus.
		"Fuzz", "SeedsOfTheParser",
	}
	// Of the data plane, where an emulated CPU takes minutes for what this one does in seconds: one test or two of whatever is
	// of the machine. Byte order and checksums are in each mode, each answer and the model; atomics in the fights of two CPUs,
	// and in the barrier that a flip waits for.
	foreignDatapath = []string{
		"TheProgramAgreesWithTheModel", "DSR", "NAT", "IPIP", "Answers", "PacketFlipPacketHits", "Expiry", "Orphans",
		"FragmentsFollowTheirFirst", "ErrorsInDSR", "ErrorsInNAT", "TooBig", "TagsBecomeThoseOfTheWayOut",
		"ConfigurationMapsAreEqualBitByBitAfterTraffic", "EveryDropReason",
		"AnEvictedSessionIsReset", "TheFlowsOfAClientAreOneSession", "NewFlowsOfAPrefixAreLimited", "ASweepCountsWhatAWalkFinds",
		"TwoCPUsInTheSameLines", "TwoFirstPacketsAtOnceMakeOneSession", "TheBarrierMakesAFlipsProofExact",
	}
	// A process of its own for each step of an upgrade; upgrades beside the one that keeps every pin, and the tracer's.
	skippedLoader = []string{
		"CutShort", "WentAway", "LinkUpdateFails", "KeepsWhatTheProgram", "TheNextDaemonTakes", "AnUpgradeReplaces",
	}
)
