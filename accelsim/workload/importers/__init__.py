"""Networks and machines in other tools' files, as files of accelsim."""
