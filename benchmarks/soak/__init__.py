"""An operator under steady load with faults, for as long as you like: its memory must stay flat, and nothing may be lost."""
