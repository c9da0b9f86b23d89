"""Where the sky is: predicted, checked, and exchanged with annotation tools."""
